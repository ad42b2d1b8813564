"""One file per document format: ENDINGS, CONTENT_TYPES, likelihood(text) in 0..1, and read(text) -> Page.

``read`` raises ValueError for what it cannot read. What it reads is untrusted: nothing in it is run or looked up.
"""
