/** Made by scripts/build-package.mjs: the texts of public/shaders by file name. A checkout fetches or reads them instead. */
declare module 'shoal:shaders' {
  const texts: Readonly<Record<string, string>>;
  export default texts;
}
