"""What a visitor is told when there is no answer: a status, what is wrong, what to do."""

from __future__ import annotations


class Problem(Exception):
    """Ends a request; `sentence` says what is wrong and `remedy` what to do, both in words for people."""

    def __init__(self, status: int, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.remedy = remedy


HEADINGS = {
    400: "That can't be answered",
    403: "Not from there",
    404: "Not found",
    405: "Not that way",
    408: "Too slow",
    409: "Not here",
    413: "Too large",
    415: "Another kind of file",
    421: "Another address",
    422: "That file can't be used",
    500: "Something broke",
    503: "Not yet",
}
