"""Makes tasks of a repository of one's own: small bugs are put into its code, and those that break tests are kept."""
