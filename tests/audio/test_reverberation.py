"""A simulated room rings as long as asked, moves nothing in time, and is drawn by the generator alone."""

import numpy as np
import pytest

from inserter.audio.clips import SAMPLE_RATE
from inserter.audio.effects import Effect, apply
from inserter.audio.reverberation import impulse_response, reverberant


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def decay(response: np.ndarray) -> float:
    """Seconds to -60 dB by backward integration (Schroeder, 1965) between -5 and -20 dB, from 5 ms after the direct sound on."""
    late = response.copy()
    late[: SAMPLE_RATE // 200] = 0
    energy = np.cumsum(np.square(late)[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-12)
    return float((np.argmax(level < -20) - np.argmax(level < -5)) / SAMPLE_RATE * 60 / 15)


@pytest.mark.parametrize("rt60", [0.1, 0.2, 0.4, 0.8])
def test_rooms_ring_for_the_given_time(rt60):
    found = [decay(impulse_response(rt60, rng(seed))) for seed in range(20)]
    assert np.mean(found) == pytest.approx(rt60, rel=0.1)
    assert all(one == pytest.approx(rt60, rel=0.3) for one in found)


def test_the_direct_sound_comes_first_and_is_whole():
    for seed in range(20):
        response = impulse_response(0.3, rng(seed))
        assert np.isfinite(response).all()
        assert np.abs(response).argmax() == 0 and response[0] == pytest.approx(1.0, abs=0.5), "no reflection drowns it"


def test_a_clip_keeps_its_length_its_level_and_its_onset():
    wave = np.zeros(SAMPLE_RATE, np.float32)
    wave[4000:8000] = 0.2 * rng().standard_normal(4000)
    wet = reverberant(wave, 0.3, rng(1))
    assert len(wet) == len(wave) and wet.dtype == np.float32
    assert np.abs(wet[:4000]).max() < 1e-6, "nothing before the onset"
    assert np.abs(wet[4000:4100]).max() > 0.1, "the onset is where it was"
    assert np.mean(wet**2) == pytest.approx(np.mean(wave**2), rel=1e-3)
    ringing = np.mean(wet[8000:10000] ** 2)
    assert ringing > 100 * np.mean(wet[12000:] ** 2) > 0, "it rings, and dies away"


def test_the_room_depends_on_the_generator_alone():
    wave = 0.1 * rng(5).standard_normal(8000).astype(np.float32)
    effect = Effect("babble", 20.0, rt60=0.2)
    assert np.array_equal(apply(wave, effect, rng(1)), apply(wave, effect, rng(1)))
    assert not np.array_equal(apply(wave, effect, rng(1)), apply(wave, effect, rng(2)))
    assert not reverberant(np.zeros(100, np.float32), 0.3, rng()).any()
