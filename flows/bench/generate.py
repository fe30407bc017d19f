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
    trained = (folder / "config.json").exists()
    untrained = (params.assets, params.warmup.adapter, 0, "tokens", params.corpus.languages)
    model, processor = saved_model(folder) if trained else new_model(*untrained)
    e = params.evaluate
    for_answers(model, e.precision)
    voice = load_voice(params.synthesize.voices[0])
    texts = [prompt.prompt for prompt in write("benchmark", 1, per_type=2)[:ITEMS]]
    prompts = [Prompt(audio=voice.speak(spoken_form(t, "en"))) if n % 2 else Prompt(text=t) for n, t in enumerate(texts)]

    def batched() -> None:
        generate_answers(model, processor, prompts, e.max_new_tokens, e.batch_size, e.precision)

    def one_by_one() -> None:
        generate_answers(model, processor, prompts, e.max_new_tokens, 1, e.precision)

    return compare("generate", batched, one_by_one, f"the same {ITEMS} items one at a time", PAIRS)
