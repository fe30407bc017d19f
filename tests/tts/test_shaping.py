"""One voice made into many: rate, pitch and formants move apart from each other, without clicks, at any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inserter.audio.clips import SAMPLE_RATE
from inserter.tts.shaping import change_pitch, change_rate, warp_formants


def tone(seconds: float = 1.0, hertz: float = 200.0, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def frequency(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * SAMPLE_RATE / len(wave))


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.15, 1.6])
def test_change_rate_keeps_pitch_and_level_and_makes_no_click(factor):
    wave = tone(2.0)
    changed = change_rate(wave, factor)
    assert len(changed) == pytest.approx(len(wave) / factor, abs=1)
    assert frequency(changed) == pytest.approx(200, abs=2)
    middle = changed[2000:-2000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.03)
    assert np.abs(np.diff(middle)).max() < 1.3 * np.abs(np.diff(wave)).max()


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_change_pitch_keeps_the_duration(factor):
    changed = change_pitch(tone(2.0), factor)
    assert len(changed) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    assert frequency(changed) == pytest.approx(200 * factor, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(0, 6000), factor=st.floats(0.25, 4.0), seed=st.integers(0, 100))
def test_any_length_and_factor_gives_finite_samples_of_the_right_number(samples, factor, seed):
    wave = rng(seed).uniform(-1, 1, samples).astype(np.float32)
    changed = change_rate(wave, factor)
    assert np.isfinite(changed).all() and changed.dtype == np.float32
    assert len(changed) == (samples if samples < 800 or abs(factor - 1) < 1e-3 else round(samples / factor))


def test_factors_out_of_range_are_refused():
    with pytest.raises(ValueError, match="outside"):
        change_rate(tone(), 5.0)
    with pytest.raises(ValueError, match="outside"):
        change_pitch(tone(), 0.1)


def vowel(formants: tuple[float, ...] = (700.0, 1800.0, 2800.0), hertz: float = 120.0) -> np.ndarray:
    """Two seconds of a buzz at `hertz` through resonances of 120 Hz width."""
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    wave = np.zeros(len(time))
    for k in range(1, int(7000 / hertz)):
        level = sum(1 / (1 + ((hertz * k - formant) / 120) ** 2) for formant in formants) + 0.003
        wave += level * np.sin(2 * np.pi * hertz * k * time + k**2)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def peaks(wave: np.ndarray, hertz: float = 120.0) -> np.ndarray:
    """Hz of the three strongest local maxima of the levels of the harmonics of `hertz`."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    width = len(wave) / SAMPLE_RATE
    level = np.array([spectrum[int(hertz * k * width) - 3 : int(hertz * k * width) + 4].max() for k in range(1, int(7000 / hertz))])
    tops = [k for k in range(1, len(level) - 1) if level[k] > level[k - 1] and level[k] >= level[k + 1]]
    return hertz * (1 + np.sort(sorted(tops, key=lambda k: level[k])[-3:]))


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_a_warp_moves_the_formants_and_neither_pitch_nor_length_nor_level(factor):
    wave = vowel()
    warped = warp_formants(wave, factor)
    assert len(warped) == len(wave) and warped.dtype == np.float32
    assert np.sqrt(np.mean(warped**2)) == pytest.approx(np.sqrt(np.mean(wave**2)), rel=0.01)
    assert peaks(warped) == pytest.approx(peaks(wave) * factor, abs=130)
    spectrum = np.abs(np.fft.rfft(warped * np.hanning(len(warped))))  # all of it lies on the harmonics still
    near = np.abs((np.fft.rfftfreq(len(warped), 1 / SAMPLE_RATE) + 60) % 120 - 60) < 6
    assert np.square(spectrum[near]).sum() / np.square(spectrum).sum() > 0.99


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(0, 3000), factor=st.floats(0.8, 1.25), seed=st.integers(0, 100))
def test_any_length_can_be_warped(samples, factor, seed):
    wave = rng(seed).uniform(-1, 1, samples).astype(np.float32)
    warped = warp_formants(wave, factor)
    assert len(warped) == samples and np.isfinite(warped).all()
    assert np.array_equal(warped, warp_formants(wave, factor))


def test_no_warp_is_no_change():
    assert np.array_equal(warp_formants(tone(), 1.0), tone())
    assert not warp_formants(np.zeros(1000, np.float32), 0.9).any()
