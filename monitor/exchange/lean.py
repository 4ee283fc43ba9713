"""ccxt without the venues that nobody reads.

Its packages import the class of every venue when they are imported, a synchronous and an asynchronous one each: 50 MB
of memory and a third of a second at each start. Here the two packages hold what ccxt's own modules take from them,
errors and base classes, and a venue's class is imported when it is asked for.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

PACKAGE, CLASSES = "ccxt", "ccxt.async_support"


class _Classes(ModuleType):
    """`ccxt.async_support`, with classes by the names of the modules that hold them."""

    exchanges: list[str]

    def __getattr__(self, name: str) -> Any:
        if name not in vars(self).get("exchanges", ()):
            raise AttributeError(f"{CLASSES} has no {name}")
        import_module(f"{CLASSES}.{name}")
        return vars(self)[name]

    def __setattr__(self, name: str, value: object) -> None:
        """Who imports a module binds it here: its class takes its place, as it does in the package itself."""
        is_module = isinstance(value, ModuleType)
        super().__setattr__(name, getattr(value, name, value) if is_module else value)


def install() -> None:
    """In the place of ccxt's first import; nothing where it was imported before."""
    if PACKAGE in sys.modules:
        return
    package, classes = _empty(PACKAGE), _empty(CLASSES)
    classes.__class__ = _Classes
    vars(package)["async_support"] = classes
    errors = {name: of for name, of in vars(import_module("ccxt.base.errors")).items() if not name.startswith("_")}
    base = import_module("ccxt.base.exchange").Exchange
    vars(package).update(errors, Exchange=base)
    names = [found.name for found in iter_modules(classes.__path__) if not found.ispkg]
    vars(classes).update(errors, exchanges=names, errors=import_module("ccxt.base.errors"))
    vars(classes)["Exchange"] = import_module("ccxt.async_support.base.exchange").Exchange


def _empty(name: str) -> ModuleType:
    """The package as it is before its own first line runs."""
    spec = find_spec(name)
    assert spec is not None, f"{name} is not installed"
    module = sys.modules[name] = module_from_spec(spec)
    return module
