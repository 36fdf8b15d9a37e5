import Sluice
import Testing

@Suite("Memory budgets")
struct MemoryBudgetTests {
    @Test(
        "budgets as users write them",
        arguments: [
            ("unlimited", MemoryBudget.unlimited), ("Minimum", .minimum), ("30%", .percent(30)),
            ("12.5%", .percent(12.5)), ("0", .bytes(0)), ("1048576", .bytes(1_048_576)),
            ("24MiB", .bytes(24 << 20)), ("1GB", .bytes(1_000_000_000)), ("1gib", .bytes(1 << 30)),
            ("1.5KiB", .bytes(1536)), ("7b", .bytes(7)), ("2k", .bytes(2048)),
            ("3m", .bytes(3 << 20)), ("10kb", .bytes(10_000)),
        ]
    )
    func asWritten(text: String, budget: MemoryBudget) throws {
        #expect(try MemoryBudget(parsing: text) == budget)
    }

    @Test(
        "anything else is refused, saying what would work",
        arguments: [
            "", "much", "-5", "-1MiB", "0%", "-3%", "nan%", "inf%", "%", "MiB", "1e30GB", "1 2",
            "0x10", "1..2", "99999999999999999999", "nan", "infinity",
        ]
    )
    func refused(text: String) throws {
        let error = try #require(throws: SluiceError.self) {
            _ = try MemoryBudget(parsing: text)
        }
        #expect(error.kind == .usage)
        #expect(error.message.contains("24MiB"))
    }
}
