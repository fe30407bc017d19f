"""The one reader of sound: what is there is read to its end, whatever a header says; what cannot be is refused in one line."""

import io
import re
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from sounds import RATE, changing, encoded, flac_total, mp3, pages, put, tag_at, without_tag

from models.sound import MAX_SECONDS, NoSound, from_numbers, read

WAVE = changing(4.0)
WAV, FLAC, MP3 = encoded(WAVE, subtype="PCM_16"), encoded(WAVE, "FLAC"), mp3(WAVE)
TAG = tag_at(MP3)
BARE = without_tag(MP3)
OPUS = encoded(WAVE, "OGG", subtype="OPUS")
VORBIS = encoded(WAVE, "OGG", subtype="VORBIS")
AU, AIFF, RF64 = (encoded(WAVE, form, subtype="PCM_16") for form in ("AU", "AIFF", "RF64"))
CAF, W64, NIST = (encoded(WAVE, form, subtype="PCM_16") for form in ("CAF", "W64", "NIST"))
FRAMES = struct.unpack_from(">I", MP3, TAG + 8)[0]


def plain(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].mean(axis=1)


def last_page(data: bytes, flags: int, position: int) -> bytes:
    """With another last page, whose checksum is libogg's business: it is computed as RFC 3533 says, bit by bit."""
    at, size = list(pages(data))[-1]
    page = bytearray(put(put(data[at : at + size], 5, "B", flags), 6, "<q", position))
    page[22:26] = bytes(4)
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)) & 0x1FFFFFFFF
    return data[:at] + put(bytes(page), 22, "<I", value & 0xFFFFFFFF)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "W64", "NIST"])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_ordinary_file_gives_the_samples_that_it_always_gave(form, channels):
    data = encoded(np.stack([WAVE, 0.5 * WAVE], axis=1)[:, :channels], form)
    assert np.array_equal(read(data).wave, plain(data)) and read(data).notes == ()


STREAMED = {
    **{f"wav says {size:,}": put(put(WAV, 40, "<I", size), 4, "<I", size) for size in (0, 10**9, 0x7FFFF000, 0xFFFFFFFF)},
    "wav says 4,000": put(WAV, 40, "<I", 4_000),
    "24-bit extensible wav": put(data := encoded(WAVE, "WAVEX", subtype="PCM_24"), data.find(b"data") + 4, "<I", 0),
    "float64 wav": put(data := encoded(WAVE, subtype="DOUBLE"), data.find(b"data") + 4, "<I", 0),
    "mu-law wav": put(data := encoded(WAVE, subtype="ULAW"), data.find(b"data") + 4, "<I", 0),
    "rf64 of unknown size": put(RF64, RF64.find(b"ds64") + 16, "<q", -1),
    "aiff says nothing": put(AIFF, AIFF.find(b"SSND") + 4, ">I", 8),
    "au says 0": put(AU, 8, ">I", 0),
    "w64 says 0": put(W64, W64.find(b"data") + 16, "<q", 24),
    "w64 says all ones": put(W64, W64.find(b"data") + 16, "<q", 2**63 - 1),
    "w64 says 4,000": put(W64, W64.find(b"data") + 16, "<q", 4_024),
    "nist says 7": NIST.replace(b"sample_count -i %d" % len(WAVE), b"sample_count -i 00007"),
    "caf says -1": put(CAF, CAF.find(b"data") + 4, ">q", -1),
    "flac says 77": flac_total(FLAC, 77),
    "flac says all ones": flac_total(FLAC, 2**36 - 1),
    "flac says a little more": flac_total(FLAC, len(WAVE) + 5_000),
    "flac behind ID3": b"ID3\x03\0\0\0\0\x02\0" + bytes(256) + flac_total(FLAC, 0),
    "mp3 tag says 7": put(MP3, TAG + 8, ">I", 7),
    "mp3 tag says all ones": put(MP3, TAG + 8, ">I", 0xFFFFFFFF),
}


@pytest.mark.parametrize("name", STREAMED)
def test_a_length_in_a_header_is_never_believed(name):
    assert len(read(STREAMED[name]).wave) == len(WAVE)


DELAY = 2_304  # samples that an mp3 encoder adds where no tag says how many: at most 4 frames of 576


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_its_tag_is_read_whole(rate, mode):
    wave = changing(6, rate)
    bare = without_tag(mp3(wave, rate, mode))
    assert 0 <= len(read(bare, rate).wave) - len(wave) <= 2 * DELAY
    if mode == "CONSTANT":
        assert np.array_equal(read(bare, rate).wave, plain(bare))


BEHIND = {
    "a cover of 1 MB": b"ID3\x04\0\0\0\x40\0\0" + bytes(1 << 20) + BARE,
    "bytes of another program": b"HTTP/1.1 200 OK\r\n" * 40 + BARE,
    "a page at the end": BARE + b"</html>" * 500,
    "an ID3v1 tag": BARE + b"TAG" + bytes(125),
    "a tag between two parts": BARE[: BARE.find(BARE[:4], len(BARE) // 2)]
    + b"ID3\x04\0\0\0\0\x10\0"
    + bytes(2048)
    + BARE[BARE.find(BARE[:4], len(BARE) // 2) :],
}


@pytest.mark.parametrize("name", BEHIND)
def test_bytes_outside_mp3_frames_are_skipped(name):
    assert np.array_equal(read(BEHIND[name]).wave, read(BARE).wave)


@pytest.mark.parametrize(
    "data", [WAV, W64, FLAC, MP3, BARE, OPUS, VORBIS], ids=["wav", "w64", "flac", "mp3", "bare mp3", "opus", "vorbis"]
)
def test_two_files_one_after_the_other_are_both_heard(data):
    both, one = read(data + data).wave, read(data).wave
    assert 2 * len(one) <= len(both) <= 2 * len(one) + DELAY
    assert np.array_equal(both[: len(one) - DELAY], one[:-DELAY])


def test_parts_of_different_rates_are_heard_at_one():
    data = encoded(WAVE, "OGG") + encoded(changing(2.0, 48_000), "OGG", 48_000)
    assert len(read(data).wave) == 6 * RATE


@pytest.mark.parametrize("data", [OPUS, VORBIS], ids=["opus", "vorbis"])
@pytest.mark.parametrize(("flags", "position"), [(0, None), (4, -1), (0, -1), (4, 1_000)])
def test_an_ogg_whose_last_page_does_not_say_where_it_ends_is_read_whole(data, flags, position):
    at, _ = list(pages(data))[-1]
    position = struct.unpack_from("<q", data, at + 6)[0] if position is None else position
    assert 0 <= len(read(last_page(data, flags, position)).wave) - len(WAVE) < 1_000


CUT = {
    "wav": WAV[:-1_000],
    "aiff": AIFF[:-1_000],
    "au": AU[:-1_000],
    "caf": CAF[:-1_000],
    "rf64": RF64[:-1_000],
    "opus": OPUS[: len(OPUS) // 2],
    "mp3": MP3[: len(MP3) // 2 + 5],
    "bare mp3": BARE[:-20],
    "header of a wav": WAV[:44],
    "w64": W64[:-1_000],
    "half of a w64": W64[: len(W64) // 2],
    "w64 of GSM": encoded(WAVE, "W64", subtype="GSM610")[:-1_000],
    "nist": NIST[:-1_000],
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_refused_and_never_silently_shortened(name):
    with pytest.raises(NoSound, match=r"is cut off: it has [\d,]+ of [\d,]+ bytes") as caught:
        read(CUT[name])
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("form", ["AVR", "SVX", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "SDS", "IRCAM", "VOC", "XI"])
def test_a_format_that_cannot_show_a_cut_is_refused_by_name(form):
    data = encoded(WAVE, form, subtype="DPCM_16" if form == "XI" else "PCM_16")
    for part in (data, data[: len(data) // 2]):
        with pytest.raises(NoSound, match=r"is .*\(.*\), a format in which a cut file cannot be detected") as caught:
            read(part)
        assert caught.value.reason == "undecodable" and caught.value.remedy == "Convert the file to wav or flac"


def test_a_w64_with_marks_behind_its_sound_is_read_without_them():
    marks = bytes.fromhex("5662f7ab2d39d211865200c04f8edb8a") + struct.pack("<q", 24 + 16) + b"\xff\x7f" * 8
    assert np.array_equal(read(W64 + marks).wave, read(W64).wave)


def test_a_whole_number_of_frames_that_is_less_than_the_tag_says_is_cut_off():
    end = BARE.find(BARE[:4], len(BARE) // 2)
    with pytest.raises(NoSound, match=rf"is cut off: it has \d+ of {FRAMES} frames"):
        read(MP3[: len(MP3) - len(BARE) + end])


@pytest.mark.parametrize("total", [0, len(WAVE)])
def test_a_flac_that_is_damaged_says_where(total):
    data = flac_total(FLAC, total)
    with pytest.raises(NoSound, match=r"is damaged or cut off after about \d\.\d s"):
        read(data[: len(data) // 2])


def test_channels_of_opposite_phase_are_noted_and_one_is_read():
    wave = (0.2 * np.sin(np.arange(RATE) / 9)).astype(np.float32)
    sound = read(encoded(np.stack([-0.9 * wave, wave], axis=1), subtype="FLOAT"))
    assert np.array_equal(sound.wave, wave) and "only channel 2 was read" in sound.notes[0]
    left = read(encoded(np.stack([wave, 0 * wave, 0 * wave], axis=1), subtype="FLOAT"))
    assert left.notes == () and np.array_equal(left.wave, np.stack([wave, 0 * wave, 0 * wave], axis=1).mean(axis=1))


@pytest.mark.parametrize(("value", "told"), [(np.nan, "not a number"), (-np.inf, "infinite"), (1e30, "samples up to 1,0")])
def test_samples_that_no_sound_has_are_refused_with_their_place(value, told):
    wave = np.zeros((RATE * 2, 2), np.float32)
    wave[24_000, 1] = value
    with pytest.raises(NoSound, match=f"{told}.* at 1.500 s"):
        read(encoded(wave, subtype="FLOAT"))
    with pytest.raises(NoSound, match=f"{told}.* at 1.500 s"):
        from_numbers(wave[:, 1].tolist())


def test_whole_numbers_are_16_bit_pcm_and_noted():
    pcm = np.rint(10_000 * np.sin(np.arange(800) / 5)).astype(int)
    for values in (pcm.tolist(), pcm.astype(np.int16)):
        sound = from_numbers(values)
        assert np.array_equal(sound.wave, pcm.astype(np.float32) / 32_768) and "16-bit PCM" in sound.notes[0]
    assert from_numbers([0, 1, -1]).notes == ()  # floats that JSON has written without a point
    for wrong in (
        [0, 40_000],
        np.array([1, 200], np.uint8),
        [True, False],
        [[0.1], [0.2]],
        [[0.1], [0.1, 0.2]],
        ["0.1"],
        {"a": 1},
        5,
        [],
    ):
        with pytest.raises(NoSound):
            from_numbers(wrong)


def test_a_path_that_is_not_a_file_is_reported(tmp_path):
    told = {"absent.wav": "does not exist", ".": "is a folder", "x" * 300: "cannot be opened", "null\0byte": "cannot be opened"}
    for name, problem in told.items():
        with pytest.raises(NoSound, match=problem):
            read(tmp_path / name)
    with pytest.raises(NoSound, match="is not a file"):
        read("/dev/zero")


@pytest.mark.parametrize("data", [b"", b"<html>no such page</html>", bytes(3_000), np.random.default_rng(1).bytes(50_000)])
def test_the_same_bytes_get_the_same_message(data):
    told = set()
    for _ in range(2):
        with pytest.raises(NoSound) as caught:
            read(data)
        told.add(str(caught.value))
    assert len(told) == 1 and not re.search("0x|object", told.pop())


def test_headers_that_ask_for_too_much_are_refused():
    long = encoded(np.zeros((MAX_SECONDS + 1) * 1_000, np.float32), "FLAC", 1_000)
    for data, problem in (
        (long, "more than 60 minutes"),
        (put(WAV, 24, "<I", 3), "rate of 3 Hz"),
        (put(WAV, 24, "<I", 0), "decoded"),
    ):
        with pytest.raises(NoSound, match=problem):
            read(data)
    assert len(read(put(WAV, 24, "<I", 768_000)).wave) == pytest.approx(len(WAVE) / 48, abs=1)
    many = encoded(np.repeat(WAVE[:2_000, None], 100, axis=1))
    assert len(read(many).wave) == 2_000


def test_no_more_of_a_file_is_decoded_than_may_be_heard():
    for data, seconds in ((FLAC, 3.9), (FLAC + FLAC, 7.9), (VORBIS + VORBIS, 7.0), (WAV + WAV, 7.9)):
        with pytest.raises(NoSound, match=f"lasts more than {seconds:.3g} s") as caught:
            read(data, seconds=seconds)
        assert caught.value.reason == "too long"
    assert np.array_equal(read(FLAC + FLAC, seconds=8.0).wave, read(FLAC + FLAC).wave)
    quick = put(WAV, 24, "<I", 768_000)  # lasts 0.08 s, and takes as much memory as 0.3 s at 192 kHz
    with pytest.raises(NoSound, match=r"lasts more than 0\.05 s"):
        read(quick, seconds=0.2)
    assert len(read(quick, seconds=0.4).wave)


def test_a_file_of_many_files_takes_no_memory_for_each():
    """The rest of the file was once copied for each file in it."""
    small = encoded(WAVE[:10], subtype="PCM_16")
    assert len(read(small * 900).wave) == 9_000
    data = small * 1_001 + WAV * 8
    tracemalloc.start()
    with pytest.raises(NoSound, match="more than 1,000 sounds in a row"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(data)
    with pytest.raises(NoSound, match="more than 1,000 sounds in a row"):
        read(encoded(WAVE[:10], "FLAC") * 1_001)
