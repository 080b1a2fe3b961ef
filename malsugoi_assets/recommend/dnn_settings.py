"""The network's settings. Apart from `dnn`, so that reading them costs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

KIND = "dnn-5"
"""What a weights file says that it holds: another number for each change of what is learnt or how it is used."""


class DnnSettings(BaseModel):
    """How the network and its inputs are made; the defaults were chosen on train rows only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(
        default=8, ge=2, le=50, description="Parts into which each user's rows fall for out-of-fold inputs."
    )
    embedding_size: int = Field(
        default=64, ge=2, le=512, description="Width of the co-listing embedding of the titles."
    )
    max_history: int = Field(
        default=800,
        ge=10,
        description="Rated titles of one user that the Gaussian process solves for; bounds its cost.",
    )
    most_joint: int = Field(
        default=1_000_000,
        ge=0,
        description="Ratings beyond which no Gaussian process over all users is solved, only one a user.",
    )
    max_train_rows: int = Field(
        default=150_000,
        ge=100,
        description="Rows that the network trains on; above it a sample, inputs still from all.",
    )
    near_titles: int = Field(
        default=12, ge=0, le=64, description="Nearest titles of a list that the network attends to; 0 = none."
    )
    hidden_units: int = Field(
        default=256, ge=4, le=4096, description="Units of the first hidden layer; the second has half."
    )
    dropout: float = Field(default=0.4, ge=0, lt=1, description="Share of hidden units switched off in training.")
    input_noise: float = Field(
        default=0.2, ge=0, description="Spread of the noise on the standardised inputs in training."
    )
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak of the one-cycle learning rate.")
    weight_decay: float = Field(default=0.02, ge=0, description="AdamW's decoupled weight decay.")
    beta: float = Field(
        default=0.5, ge=0, le=1, description="Exponent of the variance that weights the Gaussian loss."
    )
    epochs: int = Field(default=12, ge=1, description="Passes over the training rows at most.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Epochs without a better validation loss before training stops; none = the whole cycle is run and "
        "its last epoch kept, where the learning rate has come down.",
    )
    batch_size: int = Field(default=256, ge=2, description="Rows a step.")
    members: int = Field(
        default=4, ge=1, le=32, description="Networks whose mean predicts; each validates on other users."
    )
    valid_share: float = Field(default=0.1, gt=0, lt=0.5, description="Share of the users each member validates on.")
    most_row_passes: int | None = Field(
        default=None,
        ge=1,
        description="Rows times members times epochs at most: fewer epochs where there are more rows; none = no limit.",
    )
    precision: Literal["float32", "mixed"] = Field(
        default="float32",
        description="mixed multiplies in bfloat16 while training; the layers are too small to gain much by it.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads that make the inputs; none = the cores.")


class DnnOriginalSettings(BaseModel):
    """The original project's network as published; change nothing to compare with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=50, ge=1, description="Passes over the training rows.")
    batch_size: int = Field(default=64, ge=2, description="Rows a step.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's learning rate.")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Share of hidden units switched off in training.")
    threads: int = Field(
        default=1, ge=1, description="CPU threads; another number is another order of sums, and another figure."
    )
