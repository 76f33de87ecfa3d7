"""Databrain's HTTP API as values. One noun, one module: endpoints, models, and one function for each operation.

Each function returns a call (``client.call.Call``). A transport sends it, sync or async. Nothing here touches a
network.

Facts come from the vendor's API reference, docs.usedatabrain.com/developer-docs/helpers/api-reference. The comment
above an endpoint names its page there. If a fact is inferred, or comes from an older page, the comment says so. If the
name of a field is not known, no argument stands for it: it goes into ``extra``.
"""
