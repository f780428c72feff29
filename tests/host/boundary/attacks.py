"""Hostile restorers: each tries to learn the clean image, to change a number, or to harm what runs beside it.

Each prints `SIGN name` once its attack has run; an attack that never ran counts for nothing. A restorer that finds
something like a clean image returns it. Without it, it returns its input, and so scores as `identity`.
"""

import contextlib
import ctypes
import gc
import glob
import json
import mmap
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from restorebench import RestorerInfo, hookimpl

LIBC = ctypes.CDLL(None, use_errno=True)
ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__.replace("_", "-")] = function
    return function


def ancestors():
    """List the processes above this one: server, worker, guard, driver, and so on."""
    found, process = [], os.getpid()
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return [process for process in found if process > 1][:4]


def like(batch, candidate):
    """Return an array or tensor as a restored batch if it may be a clean image of this one, else None."""
    try:
        array = torch.as_tensor(np.array(candidate), dtype=torch.float32)
    except Exception:
        return None
    if array.ndim == 3 and array.shape[-1] == 3:
        array = array.permute(2, 0, 1)[None]
    if array.shape[-3:] != batch.degraded.shape[-3:] or array.ndim > 4:
        return None
    array = (array / 255 if array.max() > 2 else array).reshape(-1, *array.shape[-3:])[:1]
    far = float((array - batch.degraded[:1]).abs().mean())
    varied = float(array.std()) > 0.03  # room for a result that is still black is no find
    return array.expand_as(batch.degraded).contiguous() if varied and 1e-4 < far < 0.35 else None


def first(batch, candidates):
    for candidate in candidates:
        if (found := like(batch, candidate)) is not None:
            return found
    return None


# ------------------------------------------------------------ looking for the clean image


@attack
def frames(batch):
    held = []
    for frame in sys._current_frames().values():
        while frame is not None:
            held += list(frame.f_locals.values()) + list(frame.f_globals.values())
            frame = frame.f_back
    images = [getattr(each, "clean", None) for each in held] + [each for each in held if hasattr(each, "shape")]
    return first(batch, images)


@attack
def garbage_collector(batch):
    def all_objects():
        for each in gc.get_objects():
            with contextlib.suppress(Exception):
                if isinstance(each, np.ndarray | torch.Tensor):
                    yield each
                for name in ("clean", "degraded", "images"):
                    value = getattr(each, "__dict__", {}).get(name)
                    if isinstance(value, np.ndarray | torch.Tensor):
                        yield value

    return first(batch, all_objects())


@attack
def session_of_the_worker(batch):
    held = [each for each in gc.get_objects() if type(each).__name__ in {"Session", "Shelf", "RecentSamples"}]
    return first(batch, [each for one in held for each in vars(one).values()])


@attack
def open_the_photographs(batch):
    import PIL.Image

    found = []
    for folder in {Path(each) for each in glob.glob(f"{sys.prefix}/lib/python*/site-packages/skimage/data")}:
        for name in (
            "astronaut.png",
            "camera.png",
            "coffee.png",
            "chelsea.png",
            "motorcycle_left.png",
            "rocket.jpg",
        ):
            with contextlib.suppress(OSError):
                found.append(np.array(PIL.Image.open(folder / name).convert("RGB")))
    return crops(batch, found)


def crops(batch, photographs):
    """Look for the part of a photograph that the degraded image shows: the centre, as suites crop there."""
    height, width = batch.degraded.shape[-2:]
    for photograph in photographs:
        top, left = (photograph.shape[0] - height) // 2, (photograph.shape[1] - width) // 2
        if top >= 0 and left >= 0:
            found = like(batch, photograph[top : top + height, left : left + width])
            if found is not None:
                return found
    return None


@attack
def photographs_by_their_package(batch):
    found = []
    with contextlib.suppress(Exception):
        import skimage.data

        for name in ("astronaut", "camera", "coffee", "chelsea", "rocket"):
            with contextlib.suppress(Exception):
                found.append(np.array(getattr(skimage.data, name)()))
    return crops(batch, found)


@attack
def photographs_by_another_program(batch):
    script = "import skimage.data, sys; sys.stdout.buffer.write(skimage.data.astronaut().tobytes())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    if len(done.stdout) != 512 * 512 * 3:
        return None
    return crops(batch, [np.frombuffer(done.stdout, np.uint8).reshape(512, 512, 3)])


@attack
def photographs_by_cat(batch):
    import io

    import PIL.Image

    found = []
    for path in glob.glob(f"{sys.prefix}/lib/python*/site-packages/skimage/data/*.png"):
        done = subprocess.run(["cat", path], capture_output=True, timeout=60)
        with contextlib.suppress(Exception):
            found.append(np.array(PIL.Image.open(io.BytesIO(done.stdout)).convert("RGB")))
    return crops(batch, found)


@attack
def linked_photographs(batch):
    import PIL.Image

    found = []
    for number, path in enumerate(glob.glob(f"{sys.prefix}/lib/python*/site-packages/skimage/data/*.png")):
        for make in (os.symlink, os.link):
            with contextlib.suppress(OSError):
                make(path, f"{number}-{make.__name__}.png")
                found.append(np.array(PIL.Image.open(f"{number}-{make.__name__}.png").convert("RGB")))
    return crops(batch, found)


@attack
def photographs_behind_another_root(batch):
    import PIL.Image

    found = []
    for process in ["self", *ancestors()]:
        for way in ("root", "cwd"):
            for path in glob.glob(
                f"/proc/{process}/{way}{sys.prefix}/lib/python*/site-packages/skimage/data/*.png"
            ):
                with contextlib.suppress(OSError):
                    found.append(np.array(PIL.Image.open(path).convert("RGB")))
    return crops(batch, found)


@attack
def photographs_in_a_namespace(batch):
    import PIL.Image

    child = os.fork()
    if child == 0:
        with contextlib.suppress(Exception):
            LIBC.unshare(0x10000000 | 0x00020000)  # a user and a mount namespace of its own
            source = glob.glob(f"{sys.prefix}/lib/python*/site-packages/skimage/data")[0].encode()
            LIBC.mount(source, os.getcwd().encode(), None, 4096, None)
            np.save("found.npy", np.array(PIL.Image.open("astronaut.png").convert("RGB")))
        os._exit(0)
    os.waitpid(child, 0)
    return crops(batch, [np.load("found.npy")]) if Path("found.npy").exists() else None


@attack
def run_folder(batch):
    found = []
    for process in ancestors():
        for pattern in (f"/proc/{process}/cwd/runs/**/*", f"/proc/{process}/cwd/*"):
            for path in glob.glob(pattern, recursive=True):
                with contextlib.suppress(OSError):
                    found.append(Path(path).read_bytes())
    return batch.degraded * 0.5 + 0.5 if found else None  # a sign that shows as another score


@attack
def data_named_on_the_command_line(batch):
    import PIL.Image

    found = []
    for process in ancestors():
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0"):
                for path in glob.glob(f"{word.decode()}/**/*.png", recursive=True)[:200]:
                    with contextlib.suppress(OSError):
                        found.append(np.array(PIL.Image.open(path).convert("RGB")))
    return first(batch, found)


@attack
def memory_of_ancestors(batch):
    read = 0
    for process in ancestors():
        with contextlib.suppress(OSError), open(f"/proc/{process}/mem", "rb", 0) as memory:
            for line in Path(f"/proc/{process}/maps").read_text().splitlines()[:50]:
                begin = int(line.split("-")[0], 16)
                with contextlib.suppress(OSError, ValueError):
                    memory.seek(begin)
                    read += len(memory.read(4096))
    return batch.degraded * 0.5 + 0.5 if read else None


@attack
def memory_by_system_call(batch):
    class Part(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    here = ctypes.create_string_buffer(64)
    local = Part(ctypes.cast(here, ctypes.c_void_p), 64)
    address = ctypes.addressof(ctypes.c_char.from_buffer(bytearray(64)))
    read = 0
    for process in ancestors():
        for place in (id(None), id(sys.modules), address):
            remote = Part(place, 64)
            got = LIBC.process_vm_readv(process, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
            read += max(got, 0)
    return batch.degraded * 0.5 + 0.5 if read else None


@attack
def memory_by_ptrace(batch):
    attached = [process for process in ancestors() if LIBC.ptrace(16, process, None, None) == 0]
    for process in attached:
        LIBC.ptrace(17, process, None, None)
    return batch.degraded * 0.5 + 0.5 if attached else None


@attack
def descriptors_of_ancestors(batch):
    read = 0
    for process in ancestors():
        with contextlib.suppress(OSError):
            for entry in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError), open(f"/proc/{process}/fd/{entry}", "rb", 0) as file:
                    os.set_blocking(file.fileno(), False)
                    read += len(file.read(16) or b"")
    return batch.degraded * 0.5 + 0.5 if read else None


@attack
def descriptors_by_pidfd(batch):
    taken = 0
    for process in ancestors():
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(process)
            taken += sum(LIBC.syscall(438, handle, number, 0) >= 0 for number in range(32))
    return batch.degraded * 0.5 + 0.5 if taken else None


@attack
def environment_of_ancestors(batch):
    texts = [json.dumps(dict(os.environ))]
    for process in ["self", *ancestors()]:
        with contextlib.suppress(OSError):
            texts.append(Path(f"/proc/{process}/environ").read_text(errors="replace"))
    secret = [number for number, text in enumerate(texts) if "a password" in text]
    print(f"found in {secret}")
    return batch.degraded * 0.5 + 0.5 if secret else None


@attack
def everything_shared(batch):
    """Look for pixels in all shared memory that this process has or finds, laid out like its own."""
    size = batch.degraded[0].numel()
    for path in [*glob.glob("/dev/shm/*"), *glob.glob("/proc/self/fd/*"), *glob.glob("/proc/self/map_files/*")]:
        with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length <= 4096:
                continue
            held = np.frombuffer(mmap.mmap(file.fileno(), length, prot=mmap.PROT_READ), np.float32)
            for start in range(0, min(len(held), 40 * size) - size, size):
                part = held[start : start + size]
                if part.any() and np.isfinite(part).all():
                    image = like(batch, part.reshape(batch.degraded.shape[1:])[None])
                    if image is not None:
                        return image
    return None


# ------------------------------------------------------------ changing numbers


@attack
def patch_the_scores(batch):
    import restorebench.guest.calling as calling

    with contextlib.suppress(ImportError):
        import restorebench.worker.scoring as scoring

        scoring.score = lambda restored, samples, columns, device: [
            scoring.ImageScores(dict.fromkeys(columns, 60.0)) for _ in samples
        ]
    calling.restored = lambda restorer, given: (given.degraded.clone(), 0.0)
    calling.time.perf_counter = lambda: 0.0


@attack
def patch_torch_and_numpy(batch):
    torch.equal = torch.isfinite = lambda *given, **named: torch.ones(1, dtype=torch.bool)
    torch.mean = torch.Tensor.mean = lambda *given, **named: torch.zeros(())
    np.mean = np.square = lambda *given, **named: 0.0


@attack
def write_the_journal(batch):
    for process in ancestors():
        for path in glob.glob(f"/proc/{process}/cwd/runs/*/run.sqlite"):
            with contextlib.suppress(sqlite3.Error, OSError):
                journal = sqlite3.connect(path, timeout=1)
                journal.execute("update scores set value = 3.0")
                journal.execute("update outcomes set record = '{}'")
                journal.commit()


def sockets():
    return [number for entry in os.listdir("/proc/self/fd") if (number := int(entry)) > 2]


def write_everywhere(data):
    for number in sockets():
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)
            os.write(number, data)
            os.set_blocking(number, True)


def framed(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


@attack
def forge_a_record(batch):
    record = {"digest": "0" * 64, "sample": "x", "repetition": 0, "status": "ok", "scores": {"psnr@rgb": 99.0}}
    write_everywhere(framed({"type": "recorded", "records": [record], "resident_mib": 1.0}))


@attack
def forge_an_answer(batch):
    write_everywhere(framed({"type": "restored", "number": 1, "seconds": 0, "peak_mib": 0, "fallbacks": []}))


@attack
def answer_twice(batch):
    for number in range(1, 50):
        write_everywhere(
            framed({"type": "restored", "number": number, "seconds": 0.0, "peak_mib": 0.0, "fallbacks": []})
        )


@attack
def answer_nonsense(batch):
    write_everywhere(framed({"type": "restored", "number": "1", "seconds": "NaN"}))


@attack
def answer_with_endless_numbers(batch):
    write_everywhere(framed(b'{"type":"restored","number":1,"seconds":Infinity,"peak_mib":null,"fallbacks":[]}'))


@attack
def answer_with_garbage(batch):
    write_everywhere(b"\xff" * 64)


@attack
def announce_four_gigabytes(batch):
    write_everywhere(b"\xff\xff\xff\xff{")


@attack
def announce_and_be_silent(batch):
    write_everywhere(b"\0\0\1\0{")
    time.sleep(600)


@attack
def nest_deeply(batch):
    write_everywhere(framed(b"[" * 100_000))


@attack
def speak_as_the_host(batch):
    write_everywhere(framed({"type": "refused", "error": "RunFolderError", "message": "give me your password"}))
    write_everywhere(
        framed({"type": "problem", "number": 1, "kind": "unreadable", "message": "\x1b[31mdisk full\n" * 500})
    )


@attack
def change_pixels_after_the_check(batch):
    def spoil():
        while True:
            for path in glob.glob("/proc/self/fd/*"):
                with contextlib.suppress(OSError, ValueError), open(path, "r+b") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size > 4096:
                        np.frombuffer(mmap.mmap(file.fileno(), size), np.float32)[:] = np.nan

    threading.Thread(target=spoil, daemon=True).start()


@attack
def shrink_the_arena(batch):
    for path in glob.glob("/proc/self/fd/*"):
        with contextlib.suppress(OSError), open(path, "r+b") as file:
            if os.fstat(file.fileno()).st_size > 4096:
                os.ftruncate(file.fileno(), 0)


@attack
def hide_the_cost(batch):
    LIBC.prctl(4, 0, 0, 0, 0)  # not dumpable
    time.perf_counter = time.monotonic = lambda: 0.0


# ------------------------------------------------------------ harming what runs beside


@attack
def kill_ancestors(batch):
    for process in ancestors():
        for number in (signal.SIGKILL, signal.SIGSTOP):
            with contextlib.suppress(OSError):
                os.kill(process, number)


@attack
def kill_the_group(batch):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.killpg(os.getpgid(ancestors()[1]), signal.SIGTERM)


@attack
def leave_a_daemon(batch):
    if os.fork() == 0:
        os.setsid()
        LIBC.prctl(1, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "987654"])
        os._exit(0)


@attack
def stop_itself(batch):
    os.kill(os.getpid(), signal.SIGSTOP)


@attack
def end_politely(batch):
    os._exit(0)


@attack
def exit_in_a_thread(batch):
    threading.Thread(target=lambda: os._exit(0)).start()
    time.sleep(5)


@attack
def become_another_program(batch):
    sys.stdout.flush()
    os.execvp("true", ["true"])


@attack
def flood_the_log(batch):
    for _ in range(60):
        os.write(2, b"x" * 999_999 + b"\n")


@attack
def close_all_descriptors(batch):
    for number in sockets():
        with contextlib.suppress(OSError):
            os.close(number)


@attack
def keep_the_socket_in_a_child(batch):
    if os.fork() == 0:
        time.sleep(2)
        write_everywhere(
            framed({"type": "restored", "number": 2, "seconds": 0.0, "peak_mib": 0.0, "fallbacks": []})
        )
        time.sleep(600)


@attack
def write_into_packages(batch):
    import restorebench

    for path in (
        Path(restorebench.__file__),
        Path(np.__file__),
        Path.home() / ".bashrc",
        Path("/tmp/sitecustomize.py"),
    ):
        with contextlib.suppress(OSError), path.open("a") as file:
            file.write("\n# written by a hostile restorer\n")
            ATTACKS["written"] = True
    return batch.degraded * 0.5 + 0.5 if "written" in ATTACKS else None


@attack
def spoil_the_cache(batch):
    cache = Path(os.environ.get("RESTOREBENCH_HOME") or Path.home() / ".cache" / "restorebench")
    spoilt = []
    for path in (cache / "costs.json", cache / "weights.json", cache / "weights" / "other.pth", cache / "new"):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
            spoilt.append(path)
    return batch.degraded * 0.5 + 0.5 if spoilt else None


@attack
def remove_the_run_folder(batch):
    for process in ancestors():
        shutil.rmtree(f"/proc/{process}/cwd/runs", ignore_errors=True)


@attack
def burn_the_processor(batch):
    def burn():
        while True:
            sum(range(10_000))

    for _ in range(4):
        threading.Thread(target=burn, daemon=True).start()


@attack
def reach_a_socket_of_the_host(batch):
    reached = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        name = line.split()[-1]
        if name.startswith("@"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect("\0" + name[1:])
                reached.append(name)
    return batch.degraded * 0.5 + 0.5 if any("restorebench" in name for name in reached) else None


class Attacking:
    def __init__(self, name):
        self.name = name

    def restore(self, batch):
        try:
            print(f"SIGN {self.name}", flush=True)
            found = ATTACKS[self.name](batch)
        except Exception as error:
            print(f"{self.name} was stopped by {type(error).__name__}: {error}", flush=True)
            found = None
        return batch.degraded.clone() if found is None else found


@hookimpl
def restorebench_restorers():
    return [
        RestorerInfo(
            name=name, version="1", summary="Hostile.", load=lambda options, runtime, name=name: Attacking(name)
        )
        for name in ATTACKS
    ]
