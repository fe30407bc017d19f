"""What is done to a clip is what it says: exact ratios, no clipping, the same for the same generator, all of it in one line."""

from dataclasses import asdict

import numpy as np
import pytest
from pydantic import ValidationError

from inserter.audio.clips import SAMPLE_RATE
from inserter.audio.effects import NOISES, Effect, add_noise, apply, draw, gain, loudness
from inserter.audio.noise import HEARD_IN_TRAINING
from inserter.params import Augmentation


def tone(seconds: float = 1.0, hertz: float = 200.0, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
def test_the_signal_to_noise_ratio_is_exact_even_when_the_sum_is_turned_down(kind, snr_db):
    wave = tone(level=0.9)
    mixed = add_noise(wave, snr_db, kind, rng=rng())
    scale = float(np.dot(mixed, wave) / np.dot(wave, wave))
    # the noise is not quite orthogonal to the tone: its level comes from the noise alone
    quiet = add_noise(wave * 1e-3, snr_db, kind, rng=rng()) - wave * 1e-3
    measured = 10 * np.log10(np.mean((wave * 1e-3) ** 2) / np.mean(quiet**2))
    assert measured == pytest.approx(snr_db, abs=0.05)
    assert np.abs(mixed).max() <= 0.99 + 1e-6 and mixed.dtype == np.float32
    assert 0 < scale <= 1.2


@pytest.mark.parametrize("kind", NOISES)
def test_noise_depends_on_the_generator_alone(kind):
    assert np.array_equal(add_noise(tone(), 10, kind, rng=rng(1)), add_noise(tone(), 10, kind, rng=rng(1)))
    assert not np.array_equal(add_noise(tone(), 10, kind, rng=rng(1)), add_noise(tone(), 10, kind, rng=rng(2)))


def test_a_silent_wave_has_no_ratio_and_an_unknown_noise_no_name():
    with pytest.raises(ValueError, match="silent"):
        add_noise(np.zeros(100, np.float32), 10, "white", rng=rng())
    with pytest.raises(ValueError, match="rain"):
        add_noise(tone(), 10, "rain", rng=rng())  # type: ignore[arg-type]


def test_gain_is_exact_below_full_scale_and_never_clips():
    assert np.allclose(gain(tone(), -6.0), tone() * 10 ** (-6 / 20))
    assert np.abs(gain(tone(), 20.0)).max() == pytest.approx(0.99)
    loud = np.ones(10, np.float32)
    assert np.array_equal(gain(loud, 6.0), loud)  # already at the ceiling: left alone, not turned down


def test_effects_are_drawn_in_range_at_the_asked_share():
    spec = Augmentation(noise_share=0.3, snr_db=(10, 30), gain_db=(-6, 3), room_share=0.2, rt60=(0.1, 0.4))
    effects = [draw(spec, rng(i)) for i in range(2000)]
    noisy = [effect for effect in effects if effect.noise]
    assert len(noisy) / len(effects) == pytest.approx(0.3, abs=0.04)
    assert {effect.noise for effect in noisy} == set(HEARD_IN_TRAINING)
    assert all(10 <= effect.snr_db <= 30 for effect in noisy)
    assert all(-6 <= effect.gain_db <= 3 for effect in effects)
    rooms = [effect.rt60 for effect in effects if effect.rt60]
    assert len(rooms) / len(effects) == pytest.approx(0.2, abs=0.03) and all(0.1 <= rt60 <= 0.4 for rt60 in rooms)
    quiet = [draw(spec, rng(i), noise=False) for i in range(2000)]
    assert not any(effect.noise or effect.rt60 for effect in quiet)
    assert [effect.gain_db for effect in quiet] == [effect.gain_db for effect in effects]


@pytest.mark.parametrize("change", [{"noise_share": 0.6}, {"room_share": 0.5}])
def test_a_larger_share_changes_only_the_clips_that_it_adds(change):
    spec = Augmentation(noise_share=0.3, snr_db=(10, 30), gain_db=(-6, 3), room_share=0.2, rt60=(0.1, 0.4))
    for i in range(300):
        before, after = draw(spec, rng(i)), draw(spec.model_copy(update=change), rng(i))
        kept = {name for name, value in asdict(before).items() if value != asdict(Effect())[name]}
        assert all(asdict(before)[name] == asdict(after)[name] for name in kept)


def test_bounds_the_wrong_way_round_and_rooms_that_no_box_has_are_refused():
    good = {"noise_share": 0.3, "snr_db": (10, 30), "gain_db": (-6, 3), "room_share": 0.2, "rt60": (0.1, 0.4)}
    for bad in ({"snr_db": (30, 10)}, {"rt60": (0.4, 0.1)}, {"rt60": (0.0, 0.4)}, {"rt60": (0.1, 5.0)}, {"room_share": 1.1}):
        with pytest.raises(ValidationError):
            Augmentation(**(good | bad))


def test_an_effect_is_one_short_line_and_comes_back_from_it():
    assert Effect().to_json() == "{}" and Effect().nothing and Effect.from_json("{}") == Effect.from_json("") == Effect()
    effect = Effect("pink", 12.5, -3.0, rt60=0.25)
    assert effect.to_json() == '{"gain_db": -3.0, "noise": "pink", "rt60": 0.25, "snr_db": 12.5}'
    assert Effect.from_json(effect.to_json()) == effect and not effect.nothing
    spec = Augmentation(noise_share=0.5, snr_db=(10, 30), gain_db=(-6, 3), room_share=0.5, rt60=(0.1, 0.4))
    drawn = [draw(spec, rng(i)) for i in range(200)]
    assert [Effect.from_json(one.to_json()) for one in drawn] == drawn


def test_an_effect_without_noise_needs_no_randomness():
    assert np.array_equal(apply(tone(), Effect(gain_db=-6.0), rng(1)), apply(tone(), Effect(gain_db=-6.0), rng(2)))


def level(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


@pytest.mark.parametrize("db", [-20.0, -6.0, 3.0, 6.0])
def test_loudness_moves_the_level_exactly_and_never_clips(db):
    wave = voiced() * 0.9 / np.abs(voiced()).max()
    louder = loudness(wave, db)
    assert 20 * np.log10(level(louder) / level(wave)) == pytest.approx(db, abs=0.01)
    assert np.abs(louder).max() < 1.0 and louder.dtype == np.float32


def voiced() -> np.ndarray:
    """A vowel of 120 Hz that comes and goes, with a formant at 1 kHz."""
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    harmonics = sum(np.exp(-((120 * k - 1000) ** 2) / 3e5) * np.sin(2 * np.pi * 120 * k * time) for k in range(1, 40))
    return (0.1 * harmonics * (1 + np.sin(2 * np.pi * 2 * time)) / 2).astype(np.float32)


def periodicity(wave: np.ndarray) -> float:
    """The highest autocorrelation between 100 and 150 Hz, of at most 1."""
    spectrum = np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2
    correlation = np.fft.irfft(spectrum)
    return float(correlation[SAMPLE_RATE // 150 : SAMPLE_RATE // 100].max() / correlation[0])


def test_a_whisper_has_no_pitch_but_the_same_formant_level_and_rhythm():
    wave = voiced()
    whisper = apply(wave, Effect(whisper=True), rng(1))
    assert len(whisper) == len(wave) and whisper.dtype == np.float32
    assert level(whisper) == pytest.approx(level(wave), rel=0.01)
    assert periodicity(wave) > 0.9 and periodicity(whisper) < 0.3
    power = np.abs(np.fft.rfft(whisper)) ** 2
    hertz = np.fft.rfftfreq(len(whisper), 1 / SAMPLE_RATE)
    assert (power * hertz).sum() / power.sum() == pytest.approx(1000, abs=300)
    loud = [np.square(one.reshape(-1, 1600)).mean(axis=1) for one in (wave, whisper)]
    assert np.corrcoef(*loud)[0, 1] > 0.9
    assert np.array_equal(whisper, apply(wave, Effect(whisper=True), rng(1)))


def test_training_draws_no_noise_that_the_benchmark_reserves():
    assert set(NOISES) - set(HEARD_IN_TRAINING) == {"street", "music"}
