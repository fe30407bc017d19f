"""Entry `generate`: answers in length-sorted batches against one at a time.

Both sides have the same items, half of them heard.
"""

from flows.bench.compare import Entry, compare
from inserter.params import load
from inserter.paths import DATA

ITEMS = 24
PAIRS = 3  # 24 answers one at a time take a minute on two cores


def generate() -> Entry:
    """Measure a model on the benchmark's first prompts.

    The model is that of data/sft/model, or the untrained one of params.yaml.
    """
    from inserter.prompts import generate as write
    from inserter.text.spoken import spoken_form
    from inserter.training.models import for_answers, new_model, saved_model
    from inserter.tts import load_voice
    from models.generation import Prompt, generate_answers

    params = load()
    folder = DATA / "sft" / "model"
    if (folder / "config.json").exists():
        model, processor = saved_model(folder)
    else:
        model, processor = new_model(params.assets, params.warmup.adapter, 0, languages=params.corpus.languages)
    e = params.evaluate
    for_answers(model, e.precision)
    voice = load_voice(params.synthesize.voices[0])
    texts = [prompt.prompt for prompt in write("benchmark", 1, per_type=2)[:ITEMS]]
    prompts = [Prompt(audio=voice.speak(spoken_form(t, "en"))) if n % 2 else Prompt(text=t) for n, t in enumerate(texts)]

    def batched() -> None:
        generate_answers(model, processor, prompts, max_new_tokens=e.max_new_tokens, batch_size=e.batch_size, precision=e.precision)

    def one_by_one() -> None:
        generate_answers(model, processor, prompts, max_new_tokens=e.max_new_tokens, batch_size=1, precision=e.precision)

    return compare("generate", batched, one_by_one, against=f"the same {ITEMS} items one at a time", pairs=PAIRS)
