/// The eight-element arrays of the C structs.
func fixed<Element: FixedWidthInteger>(
    _ values: [Int],
    as type: Element.Type = Element.self
) -> (Element, Element, Element, Element, Element, Element, Element, Element) {
    precondition(values.count <= 8, "kernels take up to eight axes")
    let all = values + Array(repeating: 0, count: 8 - values.count)
    let e = all.map { Element(truncatingIfNeeded: $0) }
    return (e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7])
}
