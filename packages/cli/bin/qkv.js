#!/usr/bin/env node
// A file of its own, because package managers link executables before anything is built.
import "../dist/qkv.js";
