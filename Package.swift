// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [.swiftLanguageMode(.v6)]

let package = Package(
    name: "sluice",
    products: [
        .library(name: "Sluice", targets: ["Sluice"]),
        .executable(name: "sluice", targets: ["SluiceCommand"]),
        .library(name: "sluice_c", type: .dynamic, targets: ["SluiceC"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    ],
    targets: [
        .target(
            name: "CSluiceKernels",
            path: "CSources/CSluiceKernels",
            publicHeadersPath: "include",
            cSettings: [.enableWarning("all"), .enableWarning("extra")],
            linkerSettings: [.linkedLibrary("m")]
        ),
        .target(
            name: "CSluicePlatform",
            path: "CSources/CSluicePlatform",
            publicHeadersPath: "include",
            cSettings: [
                .define("_GNU_SOURCE"), .enableWarning("all"), .enableWarning("extra"),
            ],
            linkerSettings: [.linkedLibrary("pthread"), .linkedLibrary("dl")]
        ),
        // Reads and writes images; Debian: libstb-dev.
        .systemLibrary(name: "CStb", path: "CSources/CStb", pkgConfig: "stb"),
        // Reads and writes .npz archives; Debian: libzip-dev.
        .systemLibrary(name: "CZip", path: "CSources/CZip", pkgConfig: "libzip"),
        .target(name: "GraphIR", swiftSettings: swiftSettings),
        .target(name: "TensorMemory", swiftSettings: swiftSettings),
        .target(
            name: "ModelImport",
            dependencies: [
                "GraphIR", "TensorMemory",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(name: "GraphCompiler", dependencies: ["GraphIR"], swiftSettings: swiftSettings),
        .target(
            name: "KernelLibrary",
            dependencies: ["GraphIR", "TensorMemory", "CSluiceKernels"],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Execution",
            dependencies: [
                "GraphIR", "GraphCompiler", "KernelLibrary", "TensorMemory", "CSluicePlatform",
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Sluice",
            dependencies: [
                "GraphIR", "ModelImport", "GraphCompiler", "KernelLibrary", "Execution",
                "TensorMemory", "CStb", "CZip", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "CSluice",
            path: "CSources/CSluice",
            publicHeadersPath: "include",
            cSettings: [.enableWarning("all"), .enableWarning("extra")]
        ),
        .target(
            name: "SluiceC",
            dependencies: ["Sluice", "CSluice"],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "SluiceCommand",
            dependencies: [
                "Sluice", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/sluice",
            swiftSettings: swiftSettings
        ),
        .target(name: "Probe", path: "benchmarks/probe"),
        .executableTarget(
            name: "KernelBenchmark",
            dependencies: [
                "Sluice", "Execution", "GraphCompiler", "GraphIR", "KernelLibrary", "TensorMemory",
                "Probe", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "benchmarks/kernels",
            swiftSettings: swiftSettings
        ),
        .testTarget(name: "GraphIRTests", dependencies: ["GraphIR"]),
        .testTarget(
            name: "ModelImportTests",
            dependencies: ["ModelImport", "GraphIR", "TensorMemory", "HostileInput"]
        ),
        .testTarget(
            name: "KernelTests",
            dependencies: ["CSluiceKernels", "KernelLibrary", "GraphIR"]
        ),
        .testTarget(
            name: "GraphCompilerTests",
            dependencies: ["GraphCompiler", "GraphIR", "KernelLibrary"]
        ),
        .target(name: "CAllocationCounter", path: "Tests/AllocationCounter"),
        .target(
            name: "HostileInput",
            dependencies: ["Sluice"],
            path: "Tests/HostileInput",
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "SluiceTests",
            dependencies: [
                "Sluice", "GraphIR", "GraphCompiler", "KernelLibrary", "Execution",
                "TensorMemory", "CAllocationCounter", "HostileInput",
            ]
        ),
    ]
)

// libFuzzer's library comes only with the options that scripts/fuzz.sh builds with.
if Context.environment["SLUICE_FUZZER"] != nil {
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "sluice-fuzz",
            dependencies: ["CFuzzer", "HostileInput"],
            path: "Tests/Fuzz/Driver",
            swiftSettings: swiftSettings
        ),
    ]
}
