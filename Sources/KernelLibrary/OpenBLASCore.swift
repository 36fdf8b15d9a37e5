import CSluiceKernels

/// Makes a matrix product the `openblas` core of the fused drivers.
package func installOpenBLAS(
    _ sgemm:
        @escaping @convention(c) (
            Int, Int, Int, UnsafePointer<Float>, Int, UnsafePointer<Float>, Int,
            UnsafeMutablePointer<Float>, Int
        ) -> Void
) {
    sl_openblas_install(sgemm)
}
