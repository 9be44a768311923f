// The page's words in its languages. A page element with data-word="x" shows word x.

const WORDS = {
  en: {
    studio: "Studio", wall: "Wall", mix: "Mix", walk: "Walk", favourites: "Favourites",
    seed: "Seed", dice: "New seed", jump: "Go to number", language: "中文",
    face: "Face {name}", close: "Close", undo: "Undo", redo: "Redo", smooth: "Smooth", pixels: "Pixels",
    more: "More like this", distance: "Distance", others: "Other neighbours", truncation: "Truncation",
    directions: "Directions", labels: "Labels", asTrained: "as in training", reset: "Reset sliders",
    like: "Favourite", unlike: "Remove from favourites", toMix: "Add to mix", toWalk: "Add to walk",
    savePng: "Save PNG", command: "Command line", copy: "Copy", copied: "Copied",
    noMix: "Add two to four faces to the mix: open a face and choose “Add to mix”.",
    noWalk: "Add two or more faces to the walk: open a face and choose “Add to walk”.",
    noFavourites: "No favourites yet: press F on a face, or the heart in its corner.",
    pad: "Mixing pad: arrow keys move the point", open: "Open", remove: "Remove", clear: "Clear",
    play: "Play", pause: "Pause", pace: "Frames between faces", saveWebp: "Save WebP", saveGif: "Save GIF",
    saveFile: "Save file", openFile: "Open file", saveSheet: "Save sheet", saving: "Saving …",
    loading: "Drawing …", failed: "Could not be drawn: {why}",
    stopped: "The studio has stopped. Start it again in the terminal.",
    full: "At most {n} here.", badFile: "This is not a file of recipes.", gone:
    "The weight file is gone; the studio goes on with what it has read, but this line needs the file.",
    needsFile: "Too long for one line: the recipes are saved as recipes.json, which it reads.",
    truncationHelp: "Below 1: more alike and cleaner. Above 1: wilder.",
    less: "less", now: "now", moreOf: "more", keys: "Keys: arrows move, Enter opens, F favourite, M mix, W walk, Ctrl+Z undo, Esc closes",
    notice: "{what}: {n} faces", step: "step {n}",
  },
  zh: {
    studio: "工作室", wall: "人脸墙", mix: "混合", walk: "漫步", favourites: "收藏",
    seed: "种子", dice: "换一个种子", jump: "跳到编号", language: "English",
    face: "人脸 {name}", close: "关闭", undo: "撤销", redo: "重做", smooth: "平滑", pixels: "像素",
    more: "更多相似的", distance: "距离", others: "换一批", truncation: "截断",
    directions: "方向", labels: "标签", asTrained: "与训练时相同", reset: "滑块归零",
    like: "收藏", unlike: "取消收藏", toMix: "加入混合", toWalk: "加入漫步",
    savePng: "保存 PNG", command: "命令行", copy: "复制", copied: "已复制",
    noMix: "请加入两到四张脸：打开一张脸，选择“加入混合”。",
    noWalk: "请加入两张或更多的脸：打开一张脸，选择“加入漫步”。",
    noFavourites: "还没有收藏：在一张脸上按 F，或点它角上的心形。",
    pad: "混合板：方向键移动圆点", open: "打开", remove: "移除", clear: "清空",
    play: "播放", pause: "暂停", pace: "两张脸之间的帧数", saveWebp: "保存 WebP", saveGif: "保存 GIF",
    saveFile: "保存文件", openFile: "打开文件", saveSheet: "保存拼图", saving: "正在保存……",
    loading: "正在绘制……", failed: "无法绘制：{why}",
    stopped: "工作室已停止。请在终端里重新启动。",
    full: "这里最多 {n} 张。", badFile: "这不是配方文件。",
    gone: "权重文件不见了；工作室继续使用已读入的内容，但这行命令需要该文件。",
    needsFile: "一行写不下：配方已保存为 recipes.json，命令会读取它。",
    truncationHelp: "小于 1：更相似、更干净。大于 1：更狂野。",
    less: "减", now: "现在", moreOf: "增", keys: "按键：方向键移动，Enter 打开，F 收藏，M 混合，W 漫步，Ctrl+Z 撤销，Esc 关闭",
    notice: "{what}：{n} 张脸", step: "第 {n} 步",
  },
};

function remembered(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

let language = remembered("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
if (!(language in WORDS)) language = "en";

/** Return a word of the page's language, with {name}s filled in. */
export function word(name, values = {}) {
  return WORDS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Fill in the words of all elements in a part of the page. */
export function translate(part = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of part.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of part.querySelectorAll("[data-name]")) {
    element.setAttribute("aria-label", word(element.dataset.name));
    element.title = word(element.dataset.name);
  }
}

/** Change to the other language, and remember it. */
export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  try { localStorage.setItem("language", language); } catch { /* a browser that keeps nothing */ }
  translate();
}
