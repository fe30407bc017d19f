"""Let transformers' automatic classes load our models as soon as `inserter` is imported.

transformers may be imported later or never, and its import takes seconds. A finder therefore waits
for the modules that define the automatic classes. Our classes are imported and registered when an
automatic class is first asked for a model. A wheel has no package `models`, so there is no finder.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
AUTO = "transformers.models.auto."
# Module of transformers -> how the names of its automatic classes begin, their methods that look
# into a registry, and the function of `models.auto` that fills the registry.
CLASSES = {
    f"{AUTO}configuration_auto": ("AutoConfig", ("from_pretrained", "for_model"), "register_configuration"),
    f"{AUTO}processing_auto": ("AutoProcessor", ("from_pretrained",), "register_processor"),
    f"{AUTO}modeling_auto": ("AutoModel", ("from_pretrained", "from_config"), "register_model"),
}


class Watch:
    """A finder that changes the modules of CLASSES right after their import."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what the other finders return. For a module of CLASSES, its import is watched."""
        if name not in CLASSES:
            return None
        others = (finder for finder in sys.meta_path if finder is not Watch)
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def watched(module: ModuleType) -> None:
                execute(module)
                _prepare(module)

            spec.loader.exec_module = watched  # type: ignore[method-assign]
        return spec


def _prepare(module: ModuleType) -> None:
    """Let the classes of a module of CLASSES register ours before they look into a registry."""
    begin, methods, function = CLASSES[module.__name__]
    for kind in [kind for name, kind in vars(module).items() if name.startswith(begin) and isinstance(kind, type)]:
        for method in methods:
            setattr(kind, method, staticmethod(_registering(getattr(kind, method), function)))


def _registering(method: Callable[..., object], function: str) -> Callable[..., object]:
    @wraps(method)
    def called(*args: object, **kwargs: object) -> object:
        _register(function)
        return method(*args, **kwargs)

    return called


@cache
def _register(function: str) -> None:
    """Call a function of `models.auto`, if this environment has what the function imports."""
    if find_spec("models") is None:  # an editable installation, which has the checkout on no path
        sys.path.append(str(ROOT))
    try:
        getattr(import_module("models.auto"), function)()
    except ImportError:
        return


def watch() -> None:
    """Wait for transformers in this process, if this package stands in its checkout."""
    if (ROOT / "models" / "auto.py").is_file():
        sys.meta_path.insert(0, Watch)
