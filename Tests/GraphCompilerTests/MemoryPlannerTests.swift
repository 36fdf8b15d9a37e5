import GraphCompiler
import Testing

@Suite("Memory planner")
struct MemoryPlannerTests {
    private func problem(seed: UInt64, most: Int, moments: Int) -> [Buffer] {
        var random = Random(seed: seed)
        let largest = random.pick([3, 40, 1000])
        return (0..<1 + random.below(most)).map { _ in
            let first = random.below(moments)
            let last = min(moments - 1, first + random.below(random.pick([1, 3, moments])))
            let bytes = random.below(largest * 64)
            return Buffer(byteCount: bytes, live: first...last)
        }
    }

    @Test("random problems: sound, not below the bound, and the same again")
    func randomProblems() {
        for seed in 0..<2000 as Range<UInt64> {
            let buffers = problem(seed: seed, most: 40, moments: 30)
            let plan = planMemory(for: buffers)
            guard plan.buffers == buffers, plan.firstViolation(alignment: 64) == nil,
                aligned(plan.height) >= lowerBound(of: buffers), plan == planMemory(for: buffers)
            else {
                Issue.record("seed \(seed): \(plan)")
                return
            }
        }
    }

    /// The lowest arena over all orders of placing each buffer on top of those it lives with: one
    /// of these orders is that of the offsets of an optimal plan.
    private func optimum(_ buffers: [Buffer]) -> Int {
        var best = Int.max
        func place(_ rest: [Int], _ tops: [Int: Int], _ height: Int) {
            guard height < best else { return }
            guard !rest.isEmpty else {
                best = height
                return
            }
            for index in rest {
                let below = tops.filter { buffers[$0.key].live.overlaps(buffers[index].live) }
                let top = (below.values.max() ?? 0) + aligned(buffers[index].byteCount)
                var tops = tops
                tops[index] = top
                place(rest.filter { $0 != index }, tops, max(height, top))
            }
        }
        place(Array(buffers.indices), [:], 0)
        return best
    }

    @Test("small problems are never below the optimum, and mostly on it")
    func neverBelowTheOptimum() {
        var optimal = 0
        for seed in 0..<200 as Range<UInt64> {
            let buffers = problem(seed: 7000 + seed, most: 6, moments: 8)
            let height = aligned(planMemory(for: buffers).height)
            let best = optimum(buffers)
            #expect(height >= best, "seed \(seed)")
            #expect(best >= lowerBound(of: buffers), "seed \(seed)")
            if height == best { optimal += 1 }
        }
        #expect(optimal >= 180)
    }

    @Test("nothing needs nothing")
    func nothing() {
        let plan = planMemory(for: [])
        #expect(plan.height == 0)
        #expect(plan.firstViolation(alignment: 64) == nil)
        #expect(lowerBound(of: []) == 0)
    }

    @Test("the checker finds planted violations")
    func plantedViolations() {
        let buffers = [
            Buffer(byteCount: 64, live: 0...2), Buffer(byteCount: 100, live: 2...4),
            Buffer(byteCount: 64, live: 3...5),
        ]
        let sound = MemoryPlan(buffers: buffers, offsets: [0, 64, 0])
        #expect(sound.firstViolation(alignment: 64) == nil)
        #expect(sound.height == 164)
        var plan = sound
        plan.offsets = [0, 0, 128]
        #expect(plan.firstViolation(alignment: 64) == .overlap(0, 1))
        plan.offsets = [0, 64, 128]
        #expect(plan.firstViolation(alignment: 64) == .overlap(1, 2))
        plan.offsets = [0, 65, 0]
        #expect(plan.firstViolation(alignment: 64) == .misaligned(buffer: 1))
        plan.offsets = [-64, 64, 0]
        #expect(plan.firstViolation(alignment: 64) == .misaligned(buffer: 0))
    }

    @Test("every single byte of overlap is found")
    func everyByteOfOverlap() {
        let buffers = [Buffer(byteCount: 70, live: 0...1), Buffer(byteCount: 30, live: 1...2)]
        for offset in 0..<100 {
            let plan = MemoryPlan(buffers: buffers, offsets: [0, offset])
            #expect((plan.firstViolation(alignment: 1) != nil) == (offset < 70))
        }
    }
}
