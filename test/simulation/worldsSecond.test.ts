import { testWorlds } from "./ran.ts";

testWorlds(501, 500);
