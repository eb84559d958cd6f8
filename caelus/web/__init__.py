"""The pages for people: forms made from schemas, and what shows them."""
