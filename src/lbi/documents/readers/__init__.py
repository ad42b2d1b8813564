"""Document formats: one file for each, with ENDINGS, CONTENT_TYPES, likelihood(text) in 0..1, and read(text) -> Page.

``read`` raises ValueError for a text that it cannot read. Texts are untrusted: nothing in them is run or looked up.
"""
