import ArgumentParser
import Glibc
import Logging

/// How much a command says beside its result.
struct MessageOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Print results and errors, nothing else.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say on standard error what is done meanwhile.")
    var verbose = false

    func validate() throws {
        guard !(quiet && verbose) else {
            throw ValidationError("--quiet and --verbose exclude each other; give one.")
        }
    }

    /// The lowest level of messages that are shown.
    var level: Logger.Level { quiet ? .error : verbose ? .debug : .notice }

    /// Sends all messages, those of the library included, to standard error.
    func apply() {
        let level = level
        LoggingSystem.bootstrap { _ in StandardErrorLog(logLevel: level) }
    }
}

/// A subcommand that can be told how much to say.
protocol TalkingCommand: ParsableCommand {
    var messages: MessageOptions { get }
}

/// What the command says beside its result; set up by `MessageOptions.apply`.
let log = Logger(label: "sluice")

/// Messages as lines of standard error: `sluice: warning: ...`.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(logLevel: Logger.Level) { self.logLevel = logLevel }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
        let text = "\(event.message)\(details.joined())"
        switch event.level {
        case .trace, .debug, .info: printError("sluice: \(text)")
        case .notice: printError("sluice: \(Terminal.colored("note:", .cyan)) \(text)")
        case .warning: printError("sluice: \(Terminal.colored("warning:", .yellow)) \(text)")
        case .error, .critical: printError("sluice: \(Terminal.colored("error:", .red)) \(text)")
        }
    }
}

/// What standard error may show beside plain text.
enum Terminal {
    enum Color: Int {
        case red = 31
        case yellow = 33
        case cyan = 36
    }

    /// Whether lines can be overwritten.
    static let isInteractive = isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb"

    /// Whether colours are wanted: never in files and pipes, nor with NO_COLOR set.
    private static let isColored = isInteractive && environment("NO_COLOR") == nil

    static func colored(_ text: String, _ color: Color) -> String {
        isColored ? "\u{1B}[1;\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// A progress line on a terminal; silent elsewhere, when quick, and when messages are not wanted.
struct ProgressLine {
    private let isShown: Bool
    private let started = monotonicSeconds()
    private var wasShown = false

    init(_ messages: MessageOptions) { isShown = Terminal.isInteractive && !messages.quiet }

    mutating func update(_ done: Int, of total: Int, _ what: String) {
        guard isShown, monotonicSeconds() - started > 0.5 else { return }
        wasShown = true
        let width = 30
        let filled = total > 0 ? width * done / total : width
        let bar =
            String(repeating: "#", count: filled)
            + String(repeating: ".", count: width - filled)
        writeError("\r\u{1B}[2K\(what) [\(bar)] \(done)/\(total)")
    }

    func finish() {
        if wasShown { writeError("\r\u{1B}[2K") }
    }
}
