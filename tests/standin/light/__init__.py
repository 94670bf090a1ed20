"""The light form of the stand-in: Confluence's contract as one small process without Java."""
