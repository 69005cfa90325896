import { svg } from "./dom.ts";

/** Small pictures in plain SVG, each with its words for who cannot see it. Their colours are the style sheet's. */
const WIDTH = 300;
const DAYS_HEIGHT = 40;
const SPAN_HEIGHT = 14;

/** A bar a day. */
export function daysPlot(days: readonly number[], label: string): SVGElement {
  const most = Math.max(1, ...days);
  const step = WIDTH / days.length;
  const bars = days.map((count, day) => {
    const height = count === 0 ? 0 : Math.max(2, (count / most) * DAYS_HEIGHT);
    return svg("rect", { class: "bar", x: day * step + 0.5, y: DAYS_HEIGHT - height, width: step - 1, height });
  });
  const ground = svg("rect", { class: "ground", x: 0, y: DAYS_HEIGHT, width: WIDTH, height: 1 });
  return picture(DAYS_HEIGHT + 1, label, [...bars, ground]);
}

/** What was used within what is allowed. `used`: null for nothing. */
export function spanPlot(
  allowed: { readonly min: number; readonly max: number },
  used: { readonly min: number; readonly max: number } | null,
  label: string,
): SVGElement {
  const low = Math.min(allowed.min, used?.min ?? allowed.min);
  const high = Math.max(allowed.max, used?.max ?? allowed.max);
  const scale = (value: number): number => (high === low ? 0 : ((value - low) / (high - low)) * WIDTH);
  const bar = (of: { readonly min: number; readonly max: number }, name: string): SVGElement => {
    const x = scale(of.min);
    // A single value is a point, and is still to be seen.
    return svg("rect", {
      class: name,
      x: Math.min(x, WIDTH - 4),
      y: 2,
      width: Math.max(4, scale(of.max) - x),
      height: SPAN_HEIGHT - 4,
    });
  };
  return picture(SPAN_HEIGHT, label, [bar(allowed, "allowed"), ...(used === null ? [] : [bar(used, "bar")])]);
}

function picture(height: number, label: string, shapes: readonly SVGElement[]): SVGElement {
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
      class: "plot",
      height,
    },
    ...shapes,
  );
}
