"""Everything that knows a venue: guarded ccxt clients, request budgets, strict parsing, failures as values.

`registry.Exchanges` is the way in: it opens accounts (`source.AccountSource`) that share what they can share.
"""

from monitor.exchange import lean

# Before any module of this package imports ccxt.
lean.install()
