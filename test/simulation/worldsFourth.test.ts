import { testWorlds } from "./ran.ts";

testWorlds(1501, 500);
