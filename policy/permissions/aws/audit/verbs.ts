/** Whether an action reads or changes, by its verb: AWS's names are regular enough, and a test says how often they are not. */

const READS =
  /^(?:Get|List|Describe|Search|View|Lookup|Read|Check|Detect|Validate|Query|Scan|Select|Head|Download|Is|Count|Preview|Discover|BatchGet|BatchDescribe|BatchRead|BatchCheck)(?=[A-Z*?\d]|$)/;
/** They hand out access, whatever their verb. */
const ACCESS = /^Get\w*(?:Credential|Token|Password|LoginUrl)/;

/** The action's name is as it is written in a statement; a wildcard before the verb's end makes it a change. */
export function reads(action: string): boolean {
  const name = action.slice(action.indexOf(":") + 1);
  const written = name.slice(0, 1).toUpperCase() + name.slice(1);
  return READS.test(written) && !ACCESS.test(written);
}

const CALLED_READING = /read|view|list|describe|get|discover|inventory|audit|monitor/i;

/** Whether a statement with these other actions passes for a reading one: by its name, or because nearly all of them read. */
export function looksReading(sid: string | null, beside: readonly string[]): boolean {
  if (sid !== null && CALLED_READING.test(sid) && beside.some(reads)) return true;
  const reading = beside.filter(reads).length;
  return reading >= 2 && (beside.length - reading) * 3 <= reading;
}
