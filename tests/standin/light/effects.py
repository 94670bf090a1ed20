"""What upgrade tasks do to the home beside the database (facts 1.5, 3.3)."""
import os


def index_file(home):
    """The index that search reads: the newest layout that is there."""
    for part in ("index/content/segments.idx", "index/segments.idx"):
        path = os.path.join(home, part)
        if os.path.exists(path):
            return path
    return None


def v3_path(space, page, attachment, version):
    """ver003/<n>/<n>/<space id>/<n>/<n>/<content id>/<attachment id>/<version> (facts 1.5)."""
    def pair(number):
        return f"{number % 1000 % 250}/{number // 1000 % 1000 % 250}/{number}"
    return f"attachments/ver003/{pair(space)}/{pair(page)}/{attachment}/{version}"


def v4_path(attachment, version):
    """The layout of 8.1 and later (facts 1.5; its exact shape is not public)."""
    return f"attachments/v4/{attachment % 250}/{attachment // 250 % 250}/{attachment}/{attachment}.{version}"


def attachment_file(home, space, page, attachment, version):
    """The file of an attachment in whichever layout the home has, or None."""
    for part in (v4_path(attachment, version), v3_path(space, page, attachment, version)):
        path = os.path.join(home, part)
        if os.path.exists(path):
            return path
    return None


def attachments_v4(home):
    """Moves each file of ver003 to its place in v4 and removes what is left empty."""
    old = os.path.join(home, "attachments", "ver003")
    for folder, _, names in os.walk(old, topdown=False):
        for name in sorted(names):
            attachment = os.path.basename(folder)
            if attachment.isdigit() and name.isdigit():
                new = os.path.join(home, v4_path(int(attachment), int(name)))
                os.makedirs(os.path.dirname(new), exist_ok=True)
                os.rename(os.path.join(folder, name), new)
        if not os.listdir(folder):
            os.rmdir(folder)


def split_index(home):
    """Replaces the one index by a content and a change part."""
    old = os.path.join(home, "index", "segments.idx")
    if not os.path.exists(old):
        return
    with open(old, encoding="utf-8") as source:
        lines = source.readlines()
    for part in ("content", "change"):
        os.makedirs(os.path.join(home, "index", part), exist_ok=True)
        with open(os.path.join(home, "index", part, "segments.idx"), "w", encoding="utf-8") as out:
            out.writelines(lines if part == "content" else [x.split("\t")[0] + "\n" for x in lines])
    os.remove(old)


def reindex(home):
    """Writes the index anew in another order, as a change of its format would."""
    path = index_file(home)
    if path is None:
        return
    with open(path, encoding="utf-8") as source:
        lines = sorted(source.readlines(), reverse=True)
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.writelines(lines)
    os.replace(path + ".new", path)


def attachments_sweep(home):
    """Drops the thumbnails and leaves a mark beside the attachments."""
    for folder, _, names in os.walk(os.path.join(home, "thumbnails")):
        for name in names:
            os.remove(os.path.join(folder, name))
    with open(os.path.join(home, "attachments", "swept"), "w", encoding="ascii") as out:
        out.write("thumbnails\n")


EFFECTS = {"attachments-v4": attachments_v4, "split-index": split_index, "reindex": reindex,
           "attachments-sweep": attachments_sweep}
