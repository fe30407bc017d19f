"""Choose the items to answer: all, or a number per task, the same for every model."""

from collections import defaultdict

from inserter.errors import InserterError
from inserter.params import EvaluateItems
from inserter.seeds import derive
from inserter.tables import Item


def select(items: list[Item], limits: EvaluateItems, languages: tuple[str, ...]) -> list[Item]:
    """Return the items of `languages` within `limits`, in their order.

    An item is chosen by its key, so with all its variants. Closed-ended keys are counted by their
    first instruction type, so that every type stays in.

    Raises InserterError for a language that the benchmark does not have.
    """
    there = sorted({item["lang"] for item in items})
    if absent := sorted(set(languages) - set(there)):
        raise InserterError(f"evaluate.languages: the benchmark has no {', '.join(absent)}", f"Choose from {', '.join(there)}")
    groups: dict[tuple[str, str, str | None], set[str]] = defaultdict(set)
    for item in items:
        if item["lang"] in languages:
            groups[_group(item)].add(item["key"])
    chosen = {group: set(_first(keys, _limit(group[0], limits))) for group, keys in groups.items()}
    first = {(item["task"], item["lang"], item["key"]): _group(item) for item in items if item["variant"] == "standard"}
    return [item for item in items if item["key"] in chosen.get(first.get(_name(item), _group(item)), ())]


def _name(item: Item) -> tuple[str, str, str]:
    return item["task"], item["lang"], item["key"]


def _group(item: Item) -> tuple[str, str, str | None]:
    kinds = item["instruction_id_list"]
    return item["task"], item["lang"], kinds[0] if item["task"] == "closed" and kinds else None


def _limit(task: str, limits: EvaluateItems) -> int:
    return {"closed": limits.closed_per_type, "open": limits.open, "adjustment": limits.adjustment}[task]


def _first(keys: set[str], count: int) -> list[str]:
    """Return `count` of the keys (0: all), drawn by name.

    The order of the data set does not matter.
    """
    return sorted(keys, key=lambda key: (derive(0, "evaluate", key), key))[: count or None]
