import { testWorlds } from "./ran.ts";

testWorlds(1001, 1000);
