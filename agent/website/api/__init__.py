"""The JSON API that page and board have in common: a table of calls, and the OpenAPI document made from it."""
