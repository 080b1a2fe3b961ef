"""The web page and its JSON API: what is published, for one person, in a browser.

`app` puts the parts together; `guard` stands before every request; `published` opens each published state and
`knowledge` makes ready what answers need of it; `pages` and `api` answer; `records` are what they answer with.
Nothing here writes into the data dir, and an uploaded list lives in the memory of the process only (`sessions`).
"""
