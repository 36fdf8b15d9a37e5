import ArgumentParser
import Sluice

struct DoctorCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this machine offers: processors, memory, kernels, OpenBLAS.",
        discussion: """
            Send the output along with a report about speed.

            Example:
              sluice doctor
            """
    )

    @OptionGroup var messages: MessageOptions

    func run() throws {
        print(table(Machine.report))
    }
}

struct KernelsCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "List the kernel tables and measure their multiply-add peak.",
        discussion: """
            The first usable one is the default; --isa of `run` and `plan`, or SL_ISA, names \
            another.

            Example:
              sluice kernels
            """
    )

    @OptionGroup var messages: MessageOptions

    func run() throws {
        let header = [
            padded("isa", 12), padded("lanes", 6, left: true), padded("panel", 6, left: true),
            padded("tile", 8, left: true), padded("usable", 7, left: true),
            padded("GFLOP/s", 9, left: true),
        ]
        print(header.joined(separator: " "))
        for kernel in Machine.kernelTables {
            let row = [
                padded(kernel.name, 12), padded("\(kernel.lanes)", 6, left: true),
                padded("\(kernel.panelChannels)", 6, left: true),
                padded("\(kernel.tilePixels) px", 8, left: true),
                padded(kernel.isSupported ? "yes" : "no", 7, left: true),
                padded(kernel.peak.map { fixedText($0, digits: 1) } ?? "-", 9, left: true),
            ]
            print(row.joined(separator: " "))
        }
    }
}
