/** RFC 3339 text in UTC with milliseconds, as entries and checkpoints hold it, of milliseconds since 1970. */
export function timeText(milliseconds: number): string {
  return Temporal.Instant.fromEpochMilliseconds(milliseconds).toString({ fractionalSecondDigits: 3 });
}

/** Milliseconds since 1970 of such a text; null when it is not the one spelling of a moment (a 31st of June, a second 60). */
export function timeOf(text: string): number | null {
  try {
    const at = Temporal.Instant.from(text).epochMilliseconds;
    return timeText(at) === text ? at : null;
  } catch {
    return null;
  }
}
