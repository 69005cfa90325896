/** The log cannot be written or locked: nothing executes, the process ends with exit 7. `message` is the state that is the case. */
export class LogUnavailable extends Error {
  constructor(
    because: string,
    readonly hint: string,
  ) {
    super(because);
    this.name = "LogUnavailable";
  }
}

/** The log is not what was written: bytes changed, or entries are gone. The process ends with exit 7 until a human has looked. */
export class LogDamaged extends Error {
  constructor(
    because: string,
    readonly hint: string,
  ) {
    super(because);
    this.name = "LogDamaged";
  }
}
