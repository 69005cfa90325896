import { textOf } from "../../build/text.ts" with { type: "macro" };

/** As the executable holds them: read when it is built. */
export const UNIT = textOf("deploy/systemd/reeve.service");
export const LOCAL_GROUPS = textOf("deploy/systemd/local-groups.conf");
export const INSTALL = textOf("control/userdata/install.sh");
