// One window of VS Code in a browser without a screen, driven from outside: a JSON line in, a JSON line out.
//   {"do": "press", "with": ["Control+p"]}  ->  {"value": null}  or  {"error": "..."}
// MODSTAR_VSCODE is the folder that scripts/editors/vscode.sh made.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const home = process.env.MODSTAR_VSCODE;
const { chromium } = createRequire(join(home, 'driver', 'index.js'))('playwright-core');
const TIMEOUT_MS = Number(process.env.MODSTAR_PATIENCE_MS ?? 180_000); // one core, slow and busy, must still get there

const browser = await chromium.launch({
  executablePath: join(home, 'chromium', 'chromium'),
  headless: true,
  env: { ...process.env, LD_LIBRARY_PATH: join(home, 'chromium', 'lib') },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1', // nothing leaves the machine
  ],
});
const context = await browser.newContext({
  viewport: { width: 1200, height: 720 },
  deviceScaleFactor: Number(process.env.MODSTAR_SCALE ?? 1),
  permissions: ['clipboard-read', 'clipboard-write'],
});
context.setDefaultTimeout(TIMEOUT_MS);
const page = await context.newPage();

// how VS Code's own test runner in the extension host reports its end
let ended;
const end = new Promise((resolve) => { ended = resolve; });
await page.exposeFunction('codeAutomationExit', (code) => ended(code));
await page.exposeFunction('codeAutomationLog', () => undefined);

/** Waits until what can be seen of a selector's elements, their labels and texts, is as wanted. */
async function until(selector, wanted) {
  for (const end = Date.now() + TIMEOUT_MS; ;) {
    // a locator, since VS Code's menus lie in a shadow root, where querySelectorAll does not look
    const texts = await page.locator(selector).evaluateAll((elements) => elements
      .filter((element) => element.checkVisibility())
      .map((element) => `${element.getAttribute('aria-label') ?? ''}\n${element.textContent}`));
    if (wanted(texts)) return;
    if (Date.now() > end) throw new Error(`waited in vain; there is: ${JSON.stringify(texts).slice(0, 1000)}`);
    await page.waitForTimeout(50);
  }
}

const actions = {
  async open(url) {
    await page.goto(url);
    await page.waitForSelector('.monaco-workbench .statusbar');
  },
  /** The exit code of the tests in the extension host that the URL named. */
  run: async (url) => {
    await page.goto(url);
    return Promise.race([end, new Promise((resolve) => { setTimeout(() => resolve('timeout'), 3 * TIMEOUT_MS); })]);
  },
  press: (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve()),
  type: (text, delay = 0) => page.keyboard.type(text, { delay }),
  click: (selector, button = 'left') => page.locator(selector).first().click({ button }),
  /** Clicks an entry of an open menu, again until the menu is gone: a menu just opened takes no click (100 ms). */
  choose: async (selector) => {
    const entry = page.locator(selector).first();
    await entry.waitFor();
    for (const end = Date.now() + TIMEOUT_MS; await entry.isVisible(); ) {
      if (Date.now() > end) throw new Error(`the menu stays: ${selector}`);
      await entry.click({ timeout: 2_000 }).catch(() => undefined); // gone in between
      await page.waitForTimeout(300);
    }
  },
  hover: (selector) => page.locator(selector).first().hover(),
  wheel: (by) => page.mouse.wheel(0, by),
  drag: async (selector, to) => {
    const { x, y, width, height } = await page.locator(selector).first().boundingBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(to, y + height / 2, { steps: 5 });
    await page.mouse.up();
  },
  /** Waits until what was copied begins so. */
  copied: (beginning) => page.waitForFunction(
    async (wanted) => (await navigator.clipboard.readText()).startsWith(wanted), beginning, { polling: 100 },
  ).then(() => undefined),
  move: (x, y) => page.mouse.move(x, y),
  /** Waits until an element is visible whose text or label matches the pattern. */
  see: (selector, pattern = '') => until(selector, (texts) => texts.some((text) => new RegExp(pattern).test(text))),
  gone: (selector) => until(selector, (texts) => texts.length === 0),
  /** The labels, else texts, of what matches, from top to bottom. */
  read: (selector) => page.locator(selector).evaluateAll((elements) => elements
    .filter((element) => element.checkVisibility())
    .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
    .map((element) => element.getAttribute('aria-label') ?? element.textContent)),
  box: (selector) => page.locator(selector).first().boundingBox(),
  resize: (width, height) => page.setViewportSize({ width, height }),
  picture: (path, clip) => page.screenshot({ path, ...(clip && { clip }), animations: 'disabled', caret: 'hide' })
    .then(() => undefined),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: action, with: args = [] } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await actions[action](...args)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
process.exit(0); // whatever is still being waited for
