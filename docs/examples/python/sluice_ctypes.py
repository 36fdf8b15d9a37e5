#!/usr/bin/env python3
"""Runs a model through libsluice, with nothing but ctypes and numpy.

    make library
    python docs/examples/python/sluice_ctypes.py models/squeezenet.onnx --device-memory 60%

`Session` opens a model inside a budget of device memory, takes and returns numpy arrays by name,
and raises `SluiceError` with the code and the text of the library.
"""

import argparse
import ctypes
import pathlib

import numpy as np

LIBRARY = pathlib.Path(__file__).resolve().parents[3] / "out/lib/libsluice.so"
OK = 0
TYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}


class Port(ctypes.Structure):
    """An input or output of a plan: sluice_port."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("type", ctypes.c_int32), ("rank", ctypes.c_size_t),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("byte_count", ctypes.c_size_t)]


class Buffer(ctypes.Structure):
    """The elements of one tensor: sluice_buffer."""

    _fields_ = [("data", ctypes.c_void_p), ("byte_count", ctypes.c_size_t)]


class Report(ctypes.Structure):
    """Memory of a plan or session: sluice_report."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in (
            "planned_device_peak", "measured_device_peak", "resident_device_bytes",
            "minimum_device_bytes", "streamed_weight_bytes", "uploaded_bytes",
            "downloaded_bytes", "host_bytes")),
        ("predicted_seconds", ctypes.c_double), ("threads", ctypes.c_int64)]


class SluiceError(Exception):
    """A call that failed: `code` is a sluice_status, the text says what would work."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def load(path=LIBRARY):
    """The library, with the types of its functions."""
    library = ctypes.CDLL(str(path))
    handle, result = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    for name in ("version", "error_text"):
        getattr(library, f"sluice_{name}").restype = ctypes.c_char_p
    for name, arguments in {
        "model_open": [ctypes.c_char_p, result],
        "plan_open": [handle, ctypes.POINTER(ctypes.c_char_p), result],
        "plan_input": [handle, ctypes.c_size_t, ctypes.POINTER(Port)],
        "plan_output": [handle, ctypes.c_size_t, ctypes.POINTER(Port)],
        "plan_report": [handle, ctypes.POINTER(Report), ctypes.c_size_t],
        "session_open": [handle, result],
        "session_run": [
            handle, ctypes.POINTER(Buffer), ctypes.c_size_t, ctypes.POINTER(Buffer),
            ctypes.c_size_t, ctypes.c_double],
        "session_report": [handle, ctypes.POINTER(Report), ctypes.c_size_t],
    }.items():
        function = getattr(library, f"sluice_{name}")
        function.argtypes, function.restype = arguments, ctypes.c_int32
    for name in ("plan_input_count", "plan_output_count"):
        function = getattr(library, f"sluice_{name}")
        function.argtypes, function.restype = [handle], ctypes.c_size_t
    for name in ("model_free", "plan_free", "session_free"):
        function = getattr(library, f"sluice_{name}")
        function.argtypes, function.restype = [handle], None
    return library


class Session:
    """A model, planned for a budget and ready to run."""

    def __init__(self, path, options=(), library=None):
        self.library = library or load()
        self.handle = None
        model = self._open("model_open", str(path).encode())
        try:
            texts = (ctypes.c_char_p * (len(options) + 1))(
                *(option.encode() for option in options), None)
            plan = self._open("plan_open", model, texts)
        finally:
            self.library.sluice_model_free(model)
        try:
            self.inputs = self._ports(plan, "input")
            self.outputs = self._ports(plan, "output")
            self.handle = self._open("session_open", plan)
        finally:
            self.library.sluice_plan_free(plan)

    def run(self, arrays, timeout=0.0):
        """Runs on arrays by name; returns arrays by name."""
        sources = [
            np.ascontiguousarray(arrays[name], dtype=dtype) for name, dtype, _ in self.inputs]
        targets = [np.empty(shape, dtype=dtype) for _, dtype, shape in self.outputs]
        self._call(
            "session_run", self.handle, self._buffers(sources), len(sources),
            self._buffers(targets), len(targets), timeout)
        arrays = {name: array for (name, _, _), array in zip(self.outputs, targets)}
        for name, array in arrays.items():
            for axis in range(array.ndim):
                if (size := arrays.get(f"{name}.size{axis}")) is not None:
                    arrays[name] = arrays[name].take(np.arange(int(size)), axis)
        return arrays

    def report(self):
        """Memory in bytes, by the names of sluice_report."""
        report = Report()
        self._call("session_report", self.handle, ctypes.byref(report), ctypes.sizeof(report))
        return {name: getattr(report, name) for name, _ in Report._fields_}

    def close(self):
        """Gives the memory back; the session cannot run again."""
        self.library.sluice_session_free(self.handle)
        self.handle = None

    def _call(self, name, *arguments):
        code = getattr(self.library, f"sluice_{name}")(*arguments)
        if code != OK:
            raise SluiceError(code, self.library.sluice_error_text().decode())

    def _open(self, name, *arguments):
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _ports(self, plan, kind):
        ports = []
        for index in range(getattr(self.library, f"sluice_plan_{kind}_count")(plan)):
            port = Port()
            self._call(f"plan_{kind}", plan, index, ctypes.byref(port))
            ports.append((port.name.decode(), TYPES[port.type], tuple(port.shape[:port.rank])))
        return ports

    @staticmethod
    def _buffers(arrays):
        return (Buffer * len(arrays))(
            *(Buffer(array.ctypes.data, array.nbytes) for array in arrays))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("--device-memory", default="unlimited")
    arguments = parser.parse_args()
    session = Session(arguments.model, [f"device-memory={arguments.device_memory}"])
    random = np.random.default_rng(1)
    outputs = session.run({
        name: random.random(shape).astype(dtype) for name, dtype, shape in session.inputs})
    for name, array in outputs.items():
        print(name, array.dtype, array.shape, array.ravel()[:5])
    for name, value in session.report().items():
        print(name, value)
    session.close()


if __name__ == "__main__":
    main()
