import CSluicePlatform

/// Threads a run uses when nobody says: what the affinity mask and the control group grant.
package func defaultThreadCount() -> Int {
    let granted = Int(sl_affinity_count())
    return min(granted, ControlGroup().processorLimit ?? granted)
}
