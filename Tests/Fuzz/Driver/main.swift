import CFuzzer
import Glibc
import HostileInput

// One program for all targets: the last argument names one, the others are libFuzzer's.
//
//     sluice-fuzz [OPTION...] CORPUS... -ignore_remaining_args=1 model|array|image|plan

private let name = CommandLine.arguments.last ?? ""
guard let target = FuzzTarget(rawValue: name) else {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")
    print("usage: sluice-fuzz [OPTION...] CORPUS... -ignore_remaining_args=1 \(names)")
    exit(64)
}

/// The target under test; libFuzzer takes a C function, which captures nothing.
nonisolated(unsafe) private let chosen = target

private var count = CommandLine.argc
private var arguments = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        chosen.accept(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    }
)
