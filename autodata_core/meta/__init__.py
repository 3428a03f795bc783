"""The outer loop: what a better recipe is, and how one is found. Nothing that measures a row imports from here."""
