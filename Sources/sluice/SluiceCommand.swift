import ArgumentParser
import Glibc
import Sluice

@main
struct SluiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract:
            "Runs neural networks inside a memory budget, with the numbers of unlimited memory.",
        discussion: """
            Results go to standard output, messages to standard error. Exit codes: 0 success, \
            64 wrong usage, 65 bad model or data, 66 missing file, 69 impossible (budget, \
            operator, memory, output file), 70 an error of sluice itself.

            Examples:
              sluice inspect resnet50.onnx
              sluice run resnet50.onnx --random-inputs 1 --device-memory 30%
              sluice help run
              sluice --generate-completion-script bash
            """,
        version: sluiceVersion,
        subcommands: [
            RunCommand.self, PlanCommand.self, InspectCommand.self, DetectCommand.self,
            OCRCommand.self, DoctorCommand.self, KernelsCommand.self,
        ]
    )

    /// Runs the command line; every failure is one message and the exit code of its kind.
    static func main() {
        // With SWIFT_BACKTRACE set, the runtime's own report is wanted.
        if environment("SWIFT_BACKTRACE") == nil { Machine.exitOnCrash(code: 70) }
        do {
            var command = try parseAsRoot()
            (command as? any TalkingCommand)?.messages.apply()
            try command.run()
            try flushResults()
        } catch let error as SluiceError {
            printError("sluice: \(Terminal.colored("error:", .red)) \(error.message)")
            Glibc.exit(error.kind.exitCode)
        } catch {
            exit(withError: error)
        }
    }
}

extension SluiceError.Kind {
    /// The code of sysexits.h for this kind of failure.
    var exitCode: Int32 {
        switch self {
        case .usage: 64
        case .badData: 65
        case .missingFile: 66
        case .impossible, .system, .cancelled, .deadlineExceeded: 69
        }
    }
}

/// Makes sure that what was printed has arrived: a script must not take half a result for a whole.
private func flushResults() throws {
    guard fflush(nil) == 0 else {
        throw SluiceError(
            .system,
            "cannot write to standard output: \(String(cString: strerror(errno)))"
        )
    }
}

/// Writes one line to standard error.
func printError(_ line: String) { writeError(line + "\n") }

/// Writes text to standard error as it is.
func writeError(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let written = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        guard written > 0 else { return }
        bytes = bytes.dropFirst(written)
    }
}
