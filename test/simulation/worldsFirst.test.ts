import { testWorlds } from "./ran.ts";

testWorlds(1, 500);
