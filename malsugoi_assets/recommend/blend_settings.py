"""The blend's settings. Apart from `blend`, so that reading them costs no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.boosting import BoostingSettings
from malsugoi_assets.recommend.conformal import COVER
from malsugoi_assets.recommend.dnn_settings import DnnSettings

KIND = "blend-3"
"""What a weights file says that it holds: another number for each change of what is learnt or how it is used."""


class BlendSettings(BaseModel):
    """What is blended and how much is promised; the defaults were chosen on train rows only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: DnnSettings = Field(DnnSettings(), description="The network, and the inputs that the trees share.")
    trees: BoostingSettings = Field(BoostingSettings(), description="The trees, one forest a member of the network.")
    cover: float = Field(COVER, gt=0, lt=1, description="Share of ratings that lie in a prediction's interval.")
    prior_rows: float = Field(
        500.0, ge=0, description="Rows that draw the two weights towards .6 and .4, where few are there to weigh."
    )
