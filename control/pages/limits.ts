/** Alarms that are shown at once. */
export const MAX_ALARMS = 200;
/** Of a library's name before `*`: fewer would name nearly all. */
export const PREFIX_MIN_CHARS = 2;
