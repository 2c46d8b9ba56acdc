// Runs inside VS Code's real extension host, with the real API: VS Code calls run().
// MODSTAR_PROMISES names the module beside this one with the tests, MODSTAR_RESULTS the file for what came of them.
'use strict';
const fs = require('fs');

exports.run = async () => {
  const results = {};
  for (const [promise, test] of Object.entries(require(`./${process.env.MODSTAR_PROMISES}`))) {
    try {
      await test();
      results[promise] = null;
    } catch (error) {
      results[promise] = String((error && error.stack) || error);
    }
    fs.writeFileSync(process.env.MODSTAR_RESULTS, JSON.stringify(results)); // each at once: the next may hang
  }
};
