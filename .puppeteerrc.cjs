/** The browser is found or installed by scripts/setup.mjs, never by puppeteer's own install step. */
module.exports = { skipDownload: true };
