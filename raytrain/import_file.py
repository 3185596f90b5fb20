"""Imports a file of the job's folder as Python does from that folder: by its dotted name, after its packages.

Runs in: the driver and every Train worker.

So a file may import its neighbours relatively, its package may import the file in turn, and whoever imports it by its
name gets the same module. Where that name is taken by another module, or leads to another file, the file is imported
below a package of raytrain's own that stands for the folder: relative imports go on, and the other keeps its name.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

_STAND_IN = "raytrain_job"


def import_file(path: Path, folder: Path) -> ModuleType:
    """The module of a file within `folder`, which is put on the path.

    Raises:
        Whatever the file raises, or a package that it lies in; such a module is forgotten again.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    name = _dotted_name(path, folder)
    if _leads_to(name, path):
        return importlib.import_module(name)
    name = f"{_stand_in(folder)}.{name}"
    if _leads_to(name, path):
        return importlib.import_module(name)
    return _run(path, name)


def modules_of(folder: Path) -> list[ModuleType]:
    """What has been imported from files of the folder."""
    found = []
    for module in list(sys.modules.values()):
        try:  # so that a lazy module is not asked for an attribute, which would import it
            file = object.__getattribute__(module, "__dict__").get("__file__")
        except AttributeError:
            continue
        if isinstance(file, str) and is_users_own(Path(file), folder):
            found.append(module)
    return found


def is_users_own(file: Path, folder: Path) -> bool:
    """Whether a file is one of the folder's, and of no package that is installed there."""
    return file.is_relative_to(folder) and "site-packages" not in file.parts


def is_standing_in(module: ModuleType) -> bool:
    """Whether a module was imported below a package that no other process has."""
    return module.__name__.startswith(_STAND_IN)


def _dotted_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def _leads_to(name: str, path: Path) -> bool:
    """Whether Python finds this file by the name; the packages on the way are imported for it."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # what the package's own code cannot find
            raise
        return False
    except ValueError:  # `__main__`, say
        return False
    return spec is not None and spec.origin is not None and _is_same(spec.origin, path)


def _is_same(origin: str, path: Path) -> bool:
    return Path(origin).exists() and path.samefile(origin)


def _stand_in(folder: Path) -> str:
    """The name of a package without code that has the folder's files and packages."""
    for number in itertools.count(1):
        name = _STAND_IN if number == 1 else f"{_STAND_IN}_{number}"
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [str(folder)]
            sys.modules[name] = package
        if list(sys.modules[name].__path__) == [str(folder)]:
            return name
    raise AssertionError


def _run(path: Path, name: str) -> ModuleType:
    """A file that no dotted name leads to: one of an odd name, or beside a package of the same."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
