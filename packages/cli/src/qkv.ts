/** The executable: hands the process's arguments and streams to the command line. */

import { main } from "./main";
import { processTerminal } from "./terminal";

process.exitCode = await main(process.argv.slice(2), processTerminal());
